//go:build unix

package devdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// installPlaces are the folders into which the packages of Debian, Red Hat, Alpine, Homebrew, MacPorts and Postgres.app
// put their binaries, mostly without adding them to PATH.
var installPlaces = []string{ //nolint:gochecknoglobals // a read-only table
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/opt/local/lib/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// findBinaries returns the folder with initdb and postgres. An existing cluster can only be read by its own major
// version; an empty major accepts the first version found.
func findBinaries(ctx context.Context, major string) (string, error) {
	var others []string
	for _, dir := range binaryDirs(ctx) {
		if !executable(filepath.Join(dir, "initdb")) || !executable(filepath.Join(dir, "postgres")) {
			continue
		}
		if major == "" {
			return dir, nil
		}
		version, err := majorVersion(ctx, dir)
		if err != nil {
			return "", err
		}
		if version == major {
			return dir, nil
		}
		others = append(others, version)
	}
	if len(others) > 0 {
		return "", fmt.Errorf("the data was written by Postgres %s, and this machine has %s: install Postgres %s, or move the data folder away to start afresh",
			major, strings.Join(others, ", "), major)
	}
	return "", fmt.Errorf("no Postgres binaries (initdb, postgres) on this machine: %s; or set DATABASE_URL to a server of your own", installHint())
}

// binaryDirs returns the candidates: PATH first, then the folder that pg_config prints, then the usual places with the
// newest version first.
func binaryDirs(ctx context.Context) []string {
	var dirs []string
	for _, name := range []string{"postgres", "initdb"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	var installed []string
	for _, pattern := range installPlaces {
		// Glob fails only for a malformed pattern.
		matches, _ := filepath.Glob(pattern)
		installed = append(installed, matches...)
	}
	slices.SortStableFunc(installed, func(a, b string) int { return cmp.Compare(versionInPath(b), versionInPath(a)) })
	return append(dirs, installed...)
}

var digits = regexp.MustCompile(`\d+`)

func versionInPath(path string) int {
	found := digits.FindAllString(path, -1)
	if len(found) == 0 {
		return 0
	}
	version, err := strconv.Atoi(found[len(found)-1])
	if err != nil {
		return 0
	}
	return version
}

// majorVersion returns the major version of the binaries in dir, in the form of a cluster's PG_VERSION.
func majorVersion(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for the version of Postgres: %w", dir, err)
	}
	major := digits.FindString(string(out))
	if major == "" {
		return "", errors.New("unexpected version of Postgres: " + strings.TrimSpace(string(out)))
	}
	return major, nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func installHint() string {
	if runtime.GOOS == "darwin" {
		return "install them with `brew install postgresql@17`"
	}
	return "install them with `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora, Red Hat) or `apk add postgresql` (Alpine)"
}
