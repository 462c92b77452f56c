package harness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/voostack/mailstack/impl/devdb"
)

// Standby copies Postgres and starts the copy, which follows it by streaming. Postgres needs the settings wal_level=replica
// and max_wal_senders. Close stops the copy.
func (h *Harness) Standby(ctx context.Context) (*devdb.Server, error) {
	folder := filepath.Join(h.Folder, "standby")
	data := filepath.Join(folder, "cluster")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for the standby: %w", err)
	}
	copying := exec.CommandContext(ctx, h.Postgres.Program("pg_basebackup"),
		"--dbname="+h.Postgres.DSN("postgres"), "--pgdata="+data, "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream")
	if said, err := copying.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy Postgres: %w: %s", err, said)
	}
	if err := giveToOwner(data, filepath.Join(h.Folder, "postgres", "cluster")); err != nil {
		return nil, err
	}
	options := h.options
	options.DataDir, options.Durable = folder, true
	standby, err := devdb.Start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start the standby: %w", err)
	}
	h.standbys = append(h.standbys, standby)
	return standby, nil
}

// giveToOwner gives a folder with all that is in it to the owner of another: Postgres runs as the owner of its data.
func giveToOwner(folder, of string) error {
	info, err := os.Stat(of)
	if err != nil {
		return fmt.Errorf("find the owner of Postgres's data: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the data of Postgres has no owner")
	}
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
