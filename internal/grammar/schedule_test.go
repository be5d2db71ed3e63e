package grammar_test

import (
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func TestSchedule(t *testing.T) {
	tests := []struct {
		expression string
		fault      string // empty: it is right
	}{
		{"0 6 * 4-9 6", ""},
		{"*/15 8-18 * * mon-fri", ""},
		{"0 6 * * SAT", ""},
		{"0 6 * MAR THU", ""}, // the H of THU is no hash
		{"0 0 29 2 *", ""},
		{"0 0 * * 7", ""},
		{"  0  6 * * 6 ", ""},
		{"0 0 30 2 *", "never fires within 5 years"},
		{"0 0 31 4,6 *", "never fires"},
		{"@daily", "five fields"},
		{"@every 1s", "five fields"},
		{"TZ=UTC 0 0 * * *", "names a time zone"},
		{"CRON_TZ=Asia/Tokyo 0 0 * * *", "names a time zone"},
		{"0 0 * * * *", "6 fields"},
		{"* * * *", "4 fields"},
		{"", "0 fields"},
		{"61 * * * *", "above maximum"},
		{"0 25 * * *", "above maximum"},
		{"H 6 * * *", "is not a cron expression"},
		{"0 6 L * *", "is not a cron expression"},
		{"0 6 * * 6#1", "characters that no cron expression has"},
		{"0 6 * *\t6", "characters"},
		{strings.Repeat("1,", 200) + "1 6 * * 6", "characters long"},
		{"x y z a b", "is not a cron expression"},
	}
	for _, tc := range tests {
		t.Run(tc.expression, func(t *testing.T) {
			err := grammar.Schedule(tc.expression, "Europe/London")
			switch {
			case tc.fault == "" && err != nil:
				t.Errorf("Schedule: %v", err)
			case tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)):
				t.Errorf("Schedule: %v, want an error with %q", err, tc.fault)
			}
		})
	}
}

func TestTimeZone(t *testing.T) {
	for _, name := range []string{"Europe/London", "UTC", "America/New_York"} {
		if err := grammar.TimeZone(name); err != nil {
			t.Errorf("TimeZone(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "Local", "Europe/Londinium", "../etc/passwd", "BST+1"} {
		if err := grammar.TimeZone(name); err == nil {
			t.Errorf("TimeZone(%q) is allowed", name)
		}
	}
}

func TestNewWindowRefuses(t *testing.T) {
	for _, w := range [][3]string{
		{"0 6 * * 6", "0 6 * * 6", "UTC"}, {"0 6 * * 6", "00 6 * * 6", "UTC"}, {"0 6 * * 6", "0 6 * * sat", "UTC"}, {"0 6 * * 0", "0 6 ? * 7", "UTC"},
		{"* * * * *", "*/1 0-23 1-31 jan-dec *", "UTC"}, {"0 6 * * 6", "0 14 * * 6", ""}, {"0 6 30 2 *", "0 14 * * 6", "UTC"}, {"0 6 * * 6", "noon", "UTC"},
	} {
		if _, err := grammar.NewWindow(w[0], w[1], w[2]); err == nil {
			t.Errorf("the window %q is allowed", w)
		}
	}
}

func TestNewWindowTakesWhatDiffers(t *testing.T) {
	for _, w := range [][2]string{{"0 6 * * 6", "1 6 * * 6"}, {"0 6 * * 6", "0 6 * * 0"}, {"0 6 1 * 6", "0 6 1 * *"}, {"0 6 * * 6", "0 6 1-31 * 6"}, {"0-59 6 * * *", "* 7 * * *"}} {
		if _, err := grammar.NewWindow(w[0], w[1], "UTC"); err != nil {
			t.Errorf("the window %q: %v", w, err)
		}
	}
}

func TestWindow(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	season := [3]string{"0 0 1 4 *", "0 0 1 10 *", "Europe/London"}
	saturdays := [3]string{"0 6 * 4-9 6", "0 14 * 4-9 6", "Europe/London"}
	night := [3]string{"0 1 * * *", "30 1 * * *", "Europe/London"}
	half := [3]string{"30 1 * * *", "0 2 * * *", "Europe/London"}
	tests := []struct {
		name   string
		window [3]string
		at     string // in UTC
		open   bool
		until  string // in London
	}{
		{"before the season", season, "2026-03-31 22:59", false, "2026-04-01 00:00 BST"},
		{"the season opens", season, "2026-03-31 23:00", true, "2026-10-01 00:00 BST"},
		{"amid the season", season, "2026-07-01 12:00", true, "2026-10-01 00:00 BST"},
		{"the season is over", season, "2026-09-30 23:00", false, "2027-04-01 00:00 BST"},
		{"Friday", saturdays, "2026-06-05 12:00", false, "2026-06-06 06:00 BST"},
		{"Saturday at six", saturdays, "2026-06-06 05:00", true, "2026-06-06 14:00 BST"},
		{"Saturday before two", saturdays, "2026-06-06 12:59", true, "2026-06-06 14:00 BST"},
		{"Saturday at two", saturdays, "2026-06-06 13:00", false, "2026-06-13 06:00 BST"},
		{"a Saturday in winter", saturdays, "2026-12-05 08:00", false, "2027-04-03 06:00 BST"},

		{"spring: before the hour that is missing", night, "2026-03-29 00:59", false, "2026-03-29 02:00 BST"},
		{"spring: what is missing opens at its end", night, "2026-03-29 01:00", true, "2026-03-29 02:30 BST"},
		{"spring: and closes as much later", night, "2026-03-29 01:30", false, "2026-03-30 01:00 BST"},
		{"autumn: opens in the first of two hours", night, "2026-10-25 00:00", true, "2026-10-25 01:30 BST"},
		{"autumn: closes in it", night, "2026-10-25 00:30", false, "2026-10-26 01:00 GMT"},
		{"autumn: and does not open in the second", night, "2026-10-25 01:00", false, "2026-10-26 01:00 GMT"},
		{"autumn: not yet", half, "2026-10-25 00:29", false, "2026-10-25 01:30 BST"},
		{"autumn: opens at the first of the two", half, "2026-10-25 00:30", true, "2026-10-25 02:00 GMT"},
		{"autumn: open through both", half, "2026-10-25 01:30", true, "2026-10-25 02:00 GMT"},
		{"autumn: to its only end", half, "2026-10-25 02:00", false, "2026-10-26 01:30 GMT"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w, err := grammar.NewWindow(tc.window[0], tc.window[1], tc.window[2])
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse("2006-01-02 15:04", tc.at)
			if err != nil {
				t.Fatal(err)
			}
			open, until := w.At(at)
			if got := until.In(london).Format("2006-01-02 15:04 MST"); open != tc.open || got != tc.until {
				t.Errorf("At(%s) = %v until %s, want %v until %s", tc.at, open, got, tc.open, tc.until)
			}
		})
	}
}

// TestWindowIsWhatItsClockDoes goes through both nights of the year that have
// another length minute by minute, with windows that open and close at any time.
func TestWindowIsWhatItsClockDoes(t *testing.T) {
	check := func(startHour, startMinute, endHour, endMinute uint8) bool {
		start := expression(startHour, startMinute)
		end := expression(endHour, endMinute)
		if start == end {
			return true
		}
		w, err := grammar.NewWindow(start, end, "Europe/London")
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range []time.Time{time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)} {
			open, until := w.At(day)
			for m := range 36 * 60 {
				now := day.Add(time.Duration(m) * time.Minute)
				is, next := w.At(now)
				if changes := !now.Before(until); changes {
					open = !open
				}
				if is != open {
					t.Errorf("%s to %s is open=%v at %s, which its changes until then do not say", start, end, is, now)
					return false
				}
				until = next
			}
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 30}); err != nil {
		t.Error(err)
	}
}

// expression is a time between midnight and five.
func expression(hour, minute uint8) string {
	return string('0'+rune(minute%6)) + string('0'+rune(minute%10)) + " " + string('0'+rune(hour%5)) + " * * *"
}
