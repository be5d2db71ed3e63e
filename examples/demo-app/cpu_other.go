//go:build !linux

package main

import "time"

// threadTime is the time that has gone by, where that of a thread is not told.
func threadTime() time.Duration { return wallTime() }
