package autoscale_test

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the traces in testdata anew")

// sample is a load at a time: how many replicas it would keep at 100 %.
type sample struct {
	at   int // seconds
	load float64
}

// trace is a load over time; between two samples it changes evenly.
type trace []sample

// day and hour are in seconds.
const (
	hour = 3600
	day  = 24 * hour
)

// traces are made by these functions, and kept in testdata/traces, whose README
// says what each is. The seasonal ones begin on a Monday at midnight.
var traces = map[string]func() trace{
	"step": func() trace {
		return trace{{0, 1.4}, {600, 1.4}, {601, 5.6}, {2400, 5.6}, {2401, 1.4}, {4200, 1.4}}
	},
	"ramp": func() trace {
		return trace{{0, 1.4}, {300, 1.4}, {1500, 10}, {2400, 10}, {3600, 1.4}, {4500, 1.4}}
	},
	"square": func() trace {
		var t trace
		for k := range 12 {
			load := []float64{2, 7}[k%2]
			t = append(t, sample{k * 600, load}, sample{k*600 + 599, load})
		}
		return t
	},
	"noise": func() trace {
		r := rand.New(rand.NewPCG(266, 1))
		var t trace
		for at := 0; at <= hour; at += 5 {
			t = append(t, sample{at, max(0, 4.2*(1+0.2*r.NormFloat64()))})
		}
		return t
	},
	"flash-crowd": func() trace {
		t := trace{{0, 1.4}, {600, 1.4}}
		for at := 605; at <= 2*hour; at += 5 {
			rise := 1 - math.Exp(-float64(at-600)/25)
			decay := math.Exp2(-max(0, float64(at-780)) / 480)
			t = append(t, sample{at, 1.4 + 11*rise*decay})
		}
		return t
	},
	"oscillation": func() trace {
		var t trace
		for at := 0; at <= hour; at += 5 {
			t = append(t, sample{at, 2.8 * (1 + 0.25*math.Sin(2*math.Pi*float64(at)/150))})
		}
		return t
	},
	"daily": func() trace {
		r := rand.New(rand.NewPCG(266, 2))
		var t trace
		for at := 0; at <= 2*day; at += 300 {
			load := 0.8
			switch in := at % day; {
			case in >= 9*hour && in < 17*hour: // work begins at nine, with all at once
				load = 7 - 1.5*math.Sin(math.Pi*float64(in-9*hour)/(8*hour))
			case in >= 17*hour && in < 22*hour: // and couples plan in the evening
				load = 4.5 - 0.6*float64(in-17*hour)/hour
			}
			t = append(t, sample{at, load * (1 + 0.03*r.NormFloat64())})
		}
		return t
	},
	"weekly": func() trace {
		r := rand.New(rand.NewPCG(266, 3))
		var t trace
		for at := 0; at <= 7*day; at += 300 {
			in := at % day
			load := 1 + 0.4*math.Sin(2*math.Pi*(float64(in)/day-0.35))
			switch at / day {
			case 5: // Saturday: ten times as much, as the guests of a hundred weddings look where to go
				switch {
				case in >= 8*hour && in < 14*hour:
					load = 10
				case in >= 14*hour && in < 20*hour:
					load = 5 - 0.6*float64(in-14*hour)/hour
				}
			case 6:
				load *= 1.5
			}
			t = append(t, sample{at, load * (1 + 0.03*r.NormFloat64())})
		}
		return t
	},
}

// file is the trace as it is kept.
func (t trace) file() []byte {
	var b bytes.Buffer
	b.WriteString("seconds,load\n")
	for _, s := range t {
		fmt.Fprintf(&b, "%d,%.3f\n", s.at, s.load)
	}
	return b.Bytes()
}

// TestTraces keeps the files what their generator makes; -update writes them.
func TestTraces(t *testing.T) {
	for name, generate := range traces {
		path := filepath.Join("testdata", "traces", name+".csv")
		want := generate().file()
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its generator makes (%v): run go test ./daemon/autoscale -run TestTraces -update", path, err)
		}
	}
}

// loadTrace reads a trace as one load per second.
func loadTrace(t *testing.T, name string) []float64 {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "traces", name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list trace
	for _, row := range rows[1:] {
		at, err := strconv.Atoi(row[0])
		if err != nil {
			t.Fatal(err)
		}
		load, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sample{at, load})
	}
	return list.seconds()
}

// seconds is the load of every second.
func (t trace) seconds() []float64 {
	loads := make([]float64, 0, t[len(t)-1].at+1)
	for k := range t[:len(t)-1] {
		from, to := t[k], t[k+1]
		for at := from.at; at < to.at; at++ {
			loads = append(loads, from.load+(to.load-from.load)*float64(at-from.at)/float64(to.at-from.at))
		}
	}
	return append(loads, t[len(t)-1].load)
}

// monday is when the traces begin: in the season, in winter time nowhere.
var monday = time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)
