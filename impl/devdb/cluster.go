//go:build unix

package devdb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	superuser = "mailstack"

	// creating is the prefix of a folder in which initdb has not finished.
	creating     = "creating-"
	socketPrefix = "mailstack-pg-"
	socketName   = ".s.PGSQL.5432"
	// socketLimit is the length of a socket's path on the strictest system, macOS.
	socketLimit = 103
)

// cluster is the data folder of a server and the user that runs it.
//
//	lock          held by the process that uses the folder
//	cluster/      the data directory of Postgres
//	postgres.log  the log of Postgres since the last start
//	socket        the socket folder of the last start, removed at the next
type cluster struct {
	dir   string
	bin   string
	owner *syscall.Credential // nil means our own user
	lock  *os.File

	durable     bool
	environment []string
}

func (c *cluster) data() string    { return filepath.Join(c.dir, "cluster") }
func (c *cluster) logPath() string { return filepath.Join(c.dir, "postgres.log") }

// openCluster locks the data folder and creates the cluster in it when there is none.
func openCluster(ctx context.Context, dataDir string, durable bool) (*cluster, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("finding the data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the data folder: %w", err)
	}
	c := &cluster{dir: dir, durable: durable}
	if c.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.lock.Close())
	}
	return c, nil
}

func (c *cluster) prepare(ctx context.Context) error {
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the version of the data: %w", err)
	}
	if c.bin, err = findBinaries(ctx, strings.TrimSpace(string(version))); err != nil {
		return err
	}
	if c.owner, err = findOwner(c.data()); err != nil {
		return err
	}
	if err := os.WriteFile(c.logPath(), nil, 0o600); err != nil {
		return fmt.Errorf("emptying the log of Postgres: %w", err)
	}
	if err := c.removeUnfinished(); err != nil {
		return err
	}
	if len(version) > 0 {
		return nil
	}
	return c.create(ctx)
}

// lockFile takes the lock of the data folder. The kernel releases it when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(file, 32))
		failure := fmt.Errorf("locking the data folder: %w", err)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			failure = fmt.Errorf("already running, pid %s: it uses the data folder %s", holder, filepath.Dir(path))
		}
		return nil, errors.Join(failure, file.Close())
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing the lock of the data folder: %w", err), file.Close())
	}
	return file, nil
}

// findOwner returns the user to run Postgres as, nil for our own. Postgres refuses to run as root; initdb refuses a
// user that is not in the password database.
func findOwner(data string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(data); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the id of user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the group of user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("postgres refuses to run as root, and there is neither a user postgres nor a user nobody to run it as")
}

// create runs initdb beside the final place and then renames the folder, so that a cluster with the final name is
// always complete.
func (c *cluster) create(ctx context.Context) error {
	if err := os.RemoveAll(c.data()); err != nil {
		return fmt.Errorf("removing a folder without a database: %w", err)
	}
	dir, err := c.ownFolder(c.dir, creating)
	if err != nil {
		return err
	}
	args := []string{"-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"}
	if !c.durable {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "initdb"), args...)
	closeFiles, err := c.attach(cmd, dir)
	if err != nil {
		return err
	}
	process, err := spawn(cmd)
	closeFiles()
	if err != nil {
		return fmt.Errorf("starting initdb: %w", err)
	}
	<-process.done
	if process.err != nil {
		return fmt.Errorf("initdb: %w: %s", process.err, c.logTail(0))
	}
	if err := os.Rename(dir, c.data()); err != nil {
		return fmt.Errorf("putting the new database into its place: %w", err)
	}
	return nil
}

// removeUnfinished removes the folders that an interrupted initdb left.
func (c *cluster) removeUnfinished() error {
	unfinished, err := filepath.Glob(filepath.Join(c.dir, creating+"*"))
	if err != nil {
		return fmt.Errorf("looking for unfinished databases: %w", err)
	}
	for _, dir := range unfinished {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing an unfinished database: %w", err)
		}
	}
	return nil
}

// attach gives cmd the data folder, the log, the user and an environment without our PG variables and secrets. The
// returned function closes our copies of the files.
func (c *cluster) attach(cmd *exec.Cmd, data string) (func(), error) {
	log, err := os.OpenFile(c.logPath(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of Postgres: %w", err)
	}
	folder, err := os.Open(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the data folder: %w", err), log.Close())
	}
	cmd.Dir = "/"
	cmd.Env = append([]string{"LC_ALL=C", "TZ=UTC", "HOME=/", "PATH=" + c.bin + ":/usr/bin:/bin"}, c.environment...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes()
	cmd.SysProcAttr.Credential = c.owner
	cmd.Args = append(cmd.Args, "-D", dataArgument(cmd, folder))
	// We write to neither file, so a failed close loses nothing.
	return func() { _, _ = log.Close(), folder.Close() }, nil
}

// name returns the name that identifies the processes of this cluster: Postgres shows it in the title of each. A
// renamed folder keeps its name; a copy gets another one.
func (c *cluster) name() (string, error) {
	info, err := os.Stat(c.data())
	if err != nil {
		return "", fmt.Errorf("reading the inode of the data folder: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("the data folder has no inode")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d", stat.Dev, stat.Ino))
	return fmt.Sprintf("mailstack-%x", sum[:8]), nil
}

func (c *cluster) uid() uint32 {
	if c.owner != nil {
		return c.owner.Uid
	}
	return uint32(os.Geteuid())
}

// socketFolder makes the folder for the socket, outside of the data folder: the path of a socket may only be about a
// hundred bytes long, and Postgres's user must be able to reach it.
func (c *cluster) socketFolder() (string, error) {
	record := filepath.Join(c.dir, "socket")
	previous, err := os.ReadFile(record)
	if err == nil && strings.HasPrefix(filepath.Base(string(previous)), socketPrefix) {
		err = os.RemoveAll(string(previous))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("removing the socket of an earlier run: %w", err)
	}
	var failures []error
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if c.owner != nil && !openToAll(parent) {
			continue
		}
		dir, err := c.ownFolder(parent, socketPrefix)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if len(filepath.Join(dir, socketName)) > socketLimit {
			failures = append(failures, fmt.Errorf("the path %s is too long", dir), os.Remove(dir))
			continue
		}
		if err := os.WriteFile(record, []byte(dir), 0o600); err != nil {
			return "", errors.Join(fmt.Errorf("noting the folder of the socket: %w", err), os.Remove(dir))
		}
		return dir, nil
	}
	return "", fmt.Errorf("no folder for the socket of Postgres: %w", errors.Join(failures...))
}

// openToAll reports whether another user can pass through dir and every folder above it.
func openToAll(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// ownFolder makes a new folder that only Postgres's user can enter.
func (c *cluster) ownFolder(parent, prefix string) (string, error) {
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", fmt.Errorf("creating a folder for Postgres: %w", err)
	}
	if c.owner == nil {
		return dir, nil
	}
	if err := os.Chown(dir, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
		return "", errors.Join(fmt.Errorf("giving a folder to Postgres: %w", err), os.Remove(dir))
	}
	return dir, nil
}

func (c *cluster) logSize() int64 {
	info, err := os.Stat(c.logPath())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logTail returns the end of what Postgres has logged after offset, at most 2,000 bytes, for an error message.
func (c *cluster) logTail(offset int64) string {
	data, err := os.ReadFile(c.logPath())
	if err != nil {
		return err.Error()
	}
	const most = 2000
	offset = max(min(offset, int64(len(data))), int64(len(data))-most)
	return strings.TrimSpace(string(data[offset:]))
}
