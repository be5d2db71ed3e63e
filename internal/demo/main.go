// Command demo shows wedsync on one machine: "up" installs what is missing,
// builds, starts wedsyncd on a Postgres of its own and applies
// examples/quickstart; "down" takes all of it away again. Both may be run again
// at any time, and go on where an earlier run ended.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// options are the commands, with what they share.
type options struct {
	Up   struct{} `cmd:"" help:"Start the demonstration, or bring it up to date."`
	Down struct{} `cmd:"" help:"End the demonstration and remove all that it left."`

	Listen        string `env:"WEDSYNC_LISTEN" placeholder:"127.0.0.1:7266" help:"Address of wedsyncd's API."`
	TrafficListen string `env:"WEDSYNC_TRAFFIC_LISTEN" placeholder:"127.0.0.1:7280" help:"Address that requests to services come in at."`
	Dir           string `env:"WEDSYNC_DEMO_DIR" help:"Folder for all files of the demonstration; by default below /var/lib for root, below the user's state folder otherwise."`
}

func main() {
	var o options
	command := kong.Parse(&o, kong.Name("demo"), kong.Description("Shows wedsync on this machine."))
	if err := run(command.Command(), o); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func run(command string, o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d, err := open(o)
	if err != nil {
		return err
	}
	began := time.Now()
	if command == "down" {
		return d.down(ctx)
	}
	return d.up(ctx, began)
}
