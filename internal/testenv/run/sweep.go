package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// sweep ends and removes what runs have left that were killed before they could
// clean up. What it cannot remove it tells, and goes on.
func (s *surroundings) sweep(ctx context.Context) {
	owners, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPattern, ownerFile))
	for _, owner := range owners {
		if process, err := machine.Load(owner); process != nil || err != nil {
			continue // it still runs, or is somebody else's
		}
		dir := filepath.Dir(owner)
		if err := removeRun(ctx, dir); err != nil {
			fmt.Fprintf(s.progress, "an earlier run that was killed has left %s: %v\n", dir, err)
			continue
		}
		fmt.Fprintf(s.progress, "removed %s, which a run that was killed has left\n", dir)
	}
}

func removeRun(ctx context.Context, dir string) error {
	engine, err := machine.FindEngine(filepath.Join(dir, engineDir), filepath.Join(dir, engineSocket))
	if engine != nil {
		err = engine.Stop()
	}
	_, failed := testenv.StopPostgres(ctx, filepath.Join(dir, postgresDir))
	return errors.Join(err, failed, testenv.StopEngines(filepath.Join(dir, tempDir)), os.RemoveAll(dir))
}
