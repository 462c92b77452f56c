package contracttests

import (
	"errors"
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/voostack/mailstack"

// packages are the imports of every package of ours outside tests, by its path below the module.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir("..", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name, err := filepath.Rel("..", dir)
		if err != nil {
			return err
		}
		if name != "." && strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && name != "." {
			return filepath.SkipDir // the tools have a module of their own
		}
		imported, err := build.ImportDir(dir, 0)
		var none *build.NoGoError
		if errors.As(err, &none) {
			return nil
		}
		if err != nil {
			return err
		}
		found[filepath.ToSlash(name)] = imported.Imports
		return nil
	})
	must(t, err)
	if len(found) < 15 || len(found["impl"]) == 0 {
		t.Fatalf("found %d packages", len(found))
	}
	return found
}

// ours are the packages of the module among imports.
func ours(imports []string) []string {
	var found []string
	for _, imported := range imports {
		if below, inside := strings.CutPrefix(imported, module+"/"); inside {
			found = append(found, below)
		}
	}
	return found
}

// reaches tells whether a package imports another, directly or through others of ours.
func reaches(all map[string][]string, from, to string) bool {
	seen := map[string]bool{}
	var visit func(string) bool
	visit = func(name string) bool {
		for _, next := range ours(all[name]) {
			if next == to {
				return true
			}
			if !seen[next] {
				seen[next] = true
				if visit(next) {
					return true
				}
			}
		}
		return false
	}
	return visit(from)
}

// The rooms of the house know only what their import lists allow: each direction here is one that would otherwise be
// given up by accident.
func TestDirectionsOfImports(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, apart := range [][2]string{{"impl", "impl/worker"}, {"impl/worker", "impl"}, {"impl/sessim", "impl/ses"}, {"impl/sessim", "impl/awsevents"}, {"impl/snssim", "impl/sns"}} {
		if reaches(all, apart[0], apart[1]) {
			t.Errorf("%s reaches %s", apart[0], apart[1])
		}
	}
	for _, pure := range []string{"gen/api", "gen/db", "impl/mail", "impl/apikey", "impl/sealed", "impl/billing", "impl/template"} {
		imports, found := all[pure]
		if !found {
			t.Errorf("there is no %s", pure)
		}
		if known := ours(imports); len(known) > 0 {
			t.Errorf("%s imports %q", pure, known)
		}
		for _, outward := range []string{"net/http", "os", "database/sql", "net"} {
			if strings.HasPrefix(pure, "impl/") && slices.Contains(imports, outward) {
				t.Errorf("%s imports %s: it does no I/O", pure, outward)
			}
		}
	}
	only := map[string][]string{
		"github.com/aws/":                {"impl/ses", "impl/awsevents"},
		"github.com/jackc/pgx":           {"impl/store", "gen/db", "impl/store/storetest", "impl/devdb"},
		"github.com/labstack/echo":       {"impl", "gen/api"},
		"github.com/miekg/dns":           {"impl/dns"},
		"github.com/prometheus":          {"impl/metrics"},
		"go.opentelemetry.io":            {"impl/tracing"},
		"github.com/getkin/kin-openapi":  {"impl", "gen/api"},
		"github.com/pressly/goose":       {"impl/store"},
		"github.com/oapi-codegen":        {"gen/api"},
		"golang.org/x/net/publicsuffix":  {"impl/mail"},
		module + "/impl/sessim":          {"impl/command", "contracttests"},
		module + "/impl/snssim":          {"impl/sessim"},
		module + "/impl/store/storetest": nil,
		module + "/impl/command":         {"."},
	}
	for imported, allowed := range only {
		for name, imports := range all {
			excused := slices.Contains(allowed, name) || strings.HasPrefix(name, "contracttests/") // those are tests
			if !excused && slices.ContainsFunc(imports, func(i string) bool { return strings.HasPrefix(i, imported) }) {
				t.Errorf("%s imports %s, which is for %q", name, imported, allowed)
			}
		}
	}
}

func TestPackagesAreNamedForWhatTheyHold(t *testing.T) {
	t.Parallel()
	for name := range packages(t) {
		switch path.Base(name) {
		case "utils", "util", "common", "models", "model", "helpers", "helper", "services", "service", "handlers", "misc", "base", "shared", "types":
			t.Errorf("%s says nothing of what it holds", name)
		}
	}
}
