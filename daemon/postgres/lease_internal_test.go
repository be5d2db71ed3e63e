package postgres

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func wantOver(t *testing.T, err error, part string) {
	t.Helper()
	if !errors.Is(err, fleet.ErrUnavailable) || !strings.Contains(err.Error(), part) {
		t.Errorf("the lease says %v, want it over and %q", err, part)
	}
}

func TestLeaseCountsFromTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(time.Now())
		time.Sleep(time.Second)
		sent := time.Now()
		time.Sleep(time.Second - time.Nanosecond) // until the answer comes
		if err := l.renew(sent); err != nil {
			t.Fatal(err)
		}
		if want := sent.Add(leaseTime); !l.until().Equal(want) {
			t.Errorf("it lasts until %s, want %s", l.until(), want)
		}
		time.Sleep(time.Second)
		if err := l.check(); err != nil {
			t.Errorf("refused in time: %v", err)
		}
		time.Sleep(time.Nanosecond)
		wantOver(t, l.check(), "2s of its lease")
	})
}

// An answer that comes late must not revive a lease: somebody else may have read
// from its absence that it is over.
func TestLeaseIsNotRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(time.Now())
		time.Sleep(leaseTime)
		wantOver(t, l.renew(time.Now()), "heard nothing")
		wantOver(t, l.check(), "heard nothing")
	})
}

// A machine that slept has a wall clock that went on and another that did not.
func TestLeaseEndsByTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(time.Now())
		l.wall = l.wall.Add(-time.Minute)
		wantOver(t, l.check(), "heard nothing from the database for 1m0s")
		l = newLease(time.Now())
		l.wall = l.wall.Add(time.Minute) // put back
		if err := l.check(); err != nil {
			t.Errorf("refused in time: %v", err)
		}
		time.Sleep(leaseTime)
		wantOver(t, l.check(), "heard nothing")
	})
}

func TestLeaseEndsWithItsConnection(t *testing.T) {
	l := newLease(time.Now())
	l.end(errors.New("connection reset"))
	wantOver(t, l.check(), "connection reset")
	wantOver(t, l.renew(time.Now()), "connection reset")
}
