package grammar

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines that have no list of them

	"github.com/netresearch/go-cron"
)

// cronYears is how far ahead a cron expression must fire.
const cronYears = 5

// cronParser takes five fields as crontab does: where both days of the month and
// of the week are given, either is enough.
var cronParser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).WithMaxSearchYears(cronYears)

// Cron is a cron expression in a time zone.
type Cron struct {
	schedule cron.Schedule
	zone     *time.Location
}

// ReadCron reads a cron expression of five fields in the time zone of that name.
func ReadCron(expression, zone string) (Cron, error) {
	if err := TimeZone(zone); err != nil {
		return Cron{}, err
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return Cron{}, fmt.Errorf("load time zone: %w", err)
	}
	if len(expression) > 256 || len(strings.Fields(expression)) != 5 || strings.Contains(expression, "=") {
		return Cron{}, fmt.Errorf(`%q is not a cron expression of five fields: minute, hour, day of the month, month, day of the week; write for example "0 8 * * 6"`, expression)
	}
	schedule, err := cronParser.Parse(expression)
	if err != nil {
		return Cron{}, fmt.Errorf(`%q is not a cron expression: %s; write for example "0 8 * * 6"`, expression, strings.Join(strings.Fields(err.Error()), " "))
	}
	return Cron{schedule: schedule, zone: location}, nil
}

// Next is when the expression fires next after a moment; zero when it does not
// within five years.
func (c Cron) Next(after time.Time) time.Time { return c.schedule.Next(after.In(c.zone)) }

// TimeZone checks the name of a time zone, such as "Europe/London".
func TimeZone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		return fmt.Errorf("%q is not a time zone; write for example Europe/London or UTC", name)
	}
	return nil
}

// Schedule checks a cron expression: that it can be read, and that it ever fires.
// Of an empty time zone it takes UTC.
func Schedule(expression, zone string) error {
	if zone == "" {
		zone = "UTC"
	}
	c, err := ReadCron(expression, zone)
	if err != nil {
		return err
	}
	if c.Next(time.Now()).IsZero() {
		return fmt.Errorf("%q never fires within the next %d years; check its day and month", expression, cronYears)
	}
	return nil
}
