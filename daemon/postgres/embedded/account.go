package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// nobodyID is used where the machine has neither a user postgres nor nobody.
const nobodyID = 65534

// findAccount is the daemon's own user, or where that is root the owner of the
// cluster that is there, or the user postgres, or nobody.
func findAccount(data string) (account, error) {
	self := account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	info, err := os.Lstat(data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if self.uid == 0 {
			return lookAccount("postgres", "nobody")
		}
		return self, nil
	case err != nil:
		return account{}, fmt.Errorf("find the owner of the database: %w", err)
	}
	uid, gid := ownerOf(info)
	switch {
	case self.uid == 0 && uid != 0:
		return account{uid: uid, gid: gid, switched: true}, nil
	case self.uid == uid && uid != 0:
		return self, nil
	default:
		return account{}, fmt.Errorf("the database in %s belongs to user %d, but wedsyncd runs as user %d: run it as that user or as root", data, uid, self.uid)
	}
}

func lookAccount(names ...string) (account, error) {
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return account{uid: uint32(uid), gid: uint32(gid), switched: true}, nil
	}
	return account{uid: nobodyID, gid: nobodyID, switched: true}, nil
}

// attributes start a process in a session of its own, as the account and with
// none of root's groups.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{}}
	}
	return attr
}
