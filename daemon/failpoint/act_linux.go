package failpoint

import (
	"fmt"
	"runtime"
	"syscall"
)

// act signals this very thread, so that nothing is done behind the boundary:
// a signal to the process could be taken by another thread, a moment later.
func act(action Action) {
	signal := syscall.SIGKILL
	if action == Hold {
		signal = syscall.SIGSTOP
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), signal); err != nil {
		panic(fmt.Errorf("act at failpoint: %w", err))
	}
}
