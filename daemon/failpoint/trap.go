package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Variable names, in the environment, the file that arms the failpoints.
//
// While the file is there, each boundary that is passed is appended by its name,
// a line each, to the file of the same name with ".log" behind it. The file holds
// a number and an action, such as "12 kill": the twelfth boundary from then on
// removes the file and does the action.
const Variable = "WEDSYNC_FAILPOINT"

// Action is what happens at a boundary.
type Action string

// Actions.
const (
	// Kill ends the process with SIGKILL.
	Kill Action = "kill"
	// Hold stops the process with SIGSTOP; SIGCONT lets it go on from there.
	Hold Action = "hold"
)

// Trap counts boundaries and does what its file asks for at one of them.
type Trap struct {
	file string
	mu   sync.Mutex // one boundary at a time, so that they have an order
}

// New makes a trap that the file arms.
func New(file string) *Trap { return &Trap{file: file} }

// Arm has the trap of a file act at the nth boundary from now on. The file is
// replaced in one step, as a daemon may be reading it.
func Arm(file string, n int, action Action) error {
	fresh := file + ".new"
	if err := os.WriteFile(fresh, fmt.Appendf(nil, "%d %s", n, action), 0o600); err != nil {
		return fmt.Errorf("arm failpoint: %w", err)
	}
	if err := os.Rename(fresh, file); err != nil {
		return fmt.Errorf("arm failpoint: %w", err)
	}
	return nil
}

// Passed lists the boundaries that were passed since the last Disarm.
func Passed(file string) ([]string, error) {
	data, err := os.ReadFile(log(file))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the boundaries that were passed: %w", err)
	}
	return strings.Fields(string(data)), nil
}

// Disarm forgets the file and what was passed. It reports whether the trap was
// still waiting for its boundary.
func Disarm(file string) (waiting bool, err error) {
	err = os.Remove(file)
	waiting = err == nil
	if err == nil || os.IsNotExist(err) {
		err = os.Remove(log(file))
	}
	if err != nil && !os.IsNotExist(err) {
		return waiting, fmt.Errorf("disarm failpoint: %w", err)
	}
	return waiting, nil
}

func log(file string) string { return file + ".log" }

// pass passes a boundary. What cannot be read or written ends the process: a
// test that counts wrong would show nothing.
func (t *Trap) pass(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := os.ReadFile(t.file)
	if os.IsNotExist(err) {
		return // not armed
	}
	if err != nil {
		panic(fmt.Errorf("pass failpoint %s: %w", name, err))
	}
	n, action, err := parse(string(text))
	if err == nil {
		err = t.note(name)
	}
	if err == nil && n > 1 {
		err = Arm(t.file, n-1, action)
	} else if err == nil {
		err = os.Remove(t.file)
	}
	if err != nil {
		panic(fmt.Errorf("pass failpoint %s: %w", name, err))
	}
	if n <= 1 {
		act(action)
	}
}

func parse(text string) (int, Action, error) {
	number, action, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.Atoi(number)
	switch a := Action(action); {
	case err != nil || n < 1:
		return 0, "", fmt.Errorf("%q names no boundary; write for example \"12 kill\"", text)
	case a != Kill && a != Hold:
		return 0, "", fmt.Errorf("%q is no action; write %s or %s", action, Kill, Hold)
	default:
		return n, a, nil
	}
}

func (t *Trap) note(name string) error {
	f, err := os.OpenFile(log(t.file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(name + "\n"); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
