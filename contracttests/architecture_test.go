package contracttests

import (
	"bytes"
	"errors"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/voostack/mailstack"

// packages returns the imports of every package of this module outside tests, by its path below the module.
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
	if len(found) < 15 || len(found["impl/rest"]) == 0 {
		t.Fatalf("found %d packages", len(found))
	}
	return found
}

// ours returns those imports that are packages of this module.
func ours(imports []string) []string {
	var found []string
	for _, imported := range imports {
		if below, inside := strings.CutPrefix(imported, module+"/"); inside {
			found = append(found, below)
		}
	}
	return found
}

// isWithin reports whether a package is the other or below it.
func isWithin(name, other string) bool { return name == other || strings.HasPrefix(name, other+"/") }

// reaches reports whether a package imports another or one below it, directly or through others of this module.
func reaches(all map[string][]string, from, to string) bool {
	seen := map[string]bool{}
	var visit func(string) bool
	visit = func(name string) bool {
		for _, next := range ours(all[name]) {
			if isWithin(next, to) {
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

// laws are the allowed directions of imports. Each is one that would otherwise be given up by accident. A package stands
// for those below it as well, except in pure and only.
type laws struct {
	// entryPoints import no worker package and no other entry point; workers import no entry point.
	entryPoints, workers []string
	// apart holds pairs of packages; the first never reaches the second.
	apart [][2]string
	// groups maps a package to those below it that its other parts may import; they import no other of each other.
	groups map[string][]string
	// pure packages import no package of this module and do no I/O.
	pure []string
	// without maps a package to the imports that it must not name.
	without map[string][]string
	// only maps a package or module to the packages that may import it. The parts of a package may import each other.
	only map[string][]string
}

func lawsOfImports() laws {
	return laws{
		entryPoints: []string{"impl/rest", "impl/snsreceiver"},
		workers:     []string{"impl/worker", "impl/takeover", "impl/sending", "impl/sesevents", "impl/deliveries", "impl/maintenance", "impl/reputation"},
		apart: [][2]string{
			{"impl/sessim", "impl/ses"},
			{"impl/sessim", "impl/awsevents"},
			{"impl/snssim", "impl/sns"},
			{"impl/httpserver", "impl/compose"},
			{"impl/httpserver", "impl/pages"},
			{"impl/auth", "impl/httpserver"},
			{"impl/auth", "impl/intake"},
			{"impl/auth", "impl/spec"},
			{"impl/problem", "impl/httpserver"},
			{"impl/compose", "impl/httpserver"},
			{"impl/compose", "impl/auth"},
			{"impl/intake", "impl/compose"},
			{"impl/intake", "impl/problem"},
			{"impl/workqueue", "impl/store"},
			{"impl/sending", "impl/sesevents"},
			{"impl/sesevents", "impl/sending"},
			{"impl/deliveries", "impl/sending"},
			{"impl/organization", "impl/auth"},
		},
		groups: map[string][]string{"impl/rest": {"impl/rest/lists"}},
		pure: []string{
			"gen/api", "gen/db", "impl/mail", "impl/apikey", "impl/sealed", "impl/billing", "impl/template", "impl/backoff",
			"impl/loglimit",
		},
		without: map[string][]string{
			"impl/compose": {"net/http", "github.com/labstack/echo"},
			"impl/intake":  {"net/http", "github.com/labstack/echo", module + "/gen/api"},
			"impl/auth":    {"github.com/labstack/echo", "github.com/getkin/kin-openapi"},
			"impl/problem": {"github.com/labstack/echo", "github.com/getkin/kin-openapi"},
		},
		only: map[string][]string{
			"github.com/aws/":                {"impl/ses", "impl/awsevents"},
			"github.com/jackc/pgx":           {"impl/store", "gen/db", "impl/store/storetest", "impl/devdb"},
			"github.com/labstack/echo":       {"impl/httpserver", "impl/rest", "gen/api"},
			"github.com/miekg/dns":           {"impl/dns"},
			"github.com/prometheus":          {"impl/metrics"},
			"go.opentelemetry.io":            {"impl/tracing"},
			"github.com/getkin/kin-openapi":  {"impl/spec", "impl/httpserver", "impl/pages", "gen/api", "gen/publish"},
			"go.yaml.in/yaml":                {"gen/publish"},
			"github.com/yuin/goldmark":       {"impl/pages"},
			"github.com/JohannesKaufmann":    {"impl/pages"},
			"github.com/pressly/goose":       {"impl/store"},
			"github.com/oapi-codegen":        {"gen/api"},
			"golang.org/x/net/publicsuffix":  {"impl/mail"},
			"github.com/axiomhq/hyperloglog": {"impl/reputation"},
			module + "/impl/sessim":          {"impl/command/dev", "contracttests"},
			module + "/impl/snssim":          {"impl/sessim"},
			module + "/impl/devdb":           {"impl/command/dev", "impl/store/storetest"},
			module + "/impl/store/storetest": nil,
			module + "/impl/command":         {"."},
		},
	}
}

func (l laws) broken(all map[string][]string) []string {
	var found []string
	broken := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	apart := slices.Clone(l.apart)
	for _, entry := range l.entryPoints {
		for _, other := range l.entryPoints {
			if other != entry {
				apart = append(apart, [2]string{entry, other})
			}
		}
		for _, worker := range l.workers {
			apart = append(apart, [2]string{entry, worker}, [2]string{worker, entry})
		}
	}
	for _, pair := range apart {
		for _, name := range pair {
			if _, exists := all[name]; !exists {
				broken("there is no %s", name)
			}
		}
		for name := range all {
			if isWithin(name, pair[0]) && reaches(all, name, pair[1]) {
				broken("%s reaches %s", name, pair[1])
			}
		}
	}
	for group, shared := range l.groups {
		for name, imports := range all {
			for _, other := range ours(imports) {
				if name != group && isWithin(name, group) && isWithin(other, group) && !slices.Contains(shared, other) {
					broken("%s imports %s: the parts of %s may import only %q", name, other, group, shared)
				}
			}
		}
	}
	for _, pure := range l.pure {
		imports, exists := all[pure]
		if !exists {
			broken("there is no %s", pure)
		}
		if known := ours(imports); len(known) > 0 {
			broken("%s imports %q", pure, known)
		}
		for _, outward := range []string{"net/http", "os", "database/sql", "net"} {
			if strings.HasPrefix(pure, "impl/") && slices.Contains(imports, outward) {
				broken("%s imports %s: it does no I/O", pure, outward)
			}
		}
	}
	for top, forbidden := range l.without {
		for name, imports := range all {
			for _, prefix := range forbidden {
				if isWithin(name, top) && slices.ContainsFunc(imports, func(i string) bool { return strings.HasPrefix(i, prefix) }) {
					broken("%s imports %s", name, prefix)
				}
			}
		}
	}
	for imported, allowed := range l.only {
		for name, imports := range all {
			excused := slices.Contains(allowed, name) || isWithin(module+"/"+name, imported) || strings.HasPrefix(name, "contracttests/") // these are tests
			if !excused && slices.ContainsFunc(imports, func(i string) bool { return strings.HasPrefix(i, imported) }) {
				broken("%s imports %s, which is for %q", name, imported, allowed)
			}
		}
	}
	return found
}

func TestDirectionsOfImports(t *testing.T) {
	t.Parallel()
	for _, broken := range lawsOfImports().broken(packages(t)) {
		t.Error(broken)
	}
}

// A check that accepts everything would prove nothing: each kind of forbidden import is noticed.
func TestForbiddenImportsAreNoticed(t *testing.T) {
	t.Parallel()
	for _, forbidden := range []struct{ from, to string }{
		{"impl/rest", module + "/impl/worker"},
		{"impl/sending", module + "/impl/rest"},
		{"impl/httpserver", module + "/impl/compose"},
		{"impl/compose", "net/http"},
		{"impl/mail", "net"},
		{"impl/rest", "github.com/jackc/pgx/v5"},
		{"impl/worker", module + "/impl/sessim"},
		{"impl/rest/emails", module + "/impl/deliveries"},
		{"impl/rest/emails", module + "/impl/rest/templates"},
		{"impl/rest/emails", "github.com/labstack/echo/v4"},
		{"impl/sending/results", module + "/impl/rest/lists"},
	} {
		all := packages(t)
		all[forbidden.from] = append(slices.Clone(all[forbidden.from]), forbidden.to)
		if len(lawsOfImports().broken(all)) == 0 {
			t.Errorf("nothing notices that %s imports %s", forbidden.from, forbidden.to)
		}
	}
}

// A package doc lists the files of its package, "//   - name.go: what is in it"; the list must name exactly these
// files.
func TestFileListsAreTrue(t *testing.T) {
	t.Parallel()
	listed := regexp.MustCompile(`\b[a-z0-9_]+\.go\b`)
	for name := range packages(t) {
		if !strings.HasPrefix(name, "impl/") {
			continue
		}
		files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		must(t, err)
		files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
		lists := false
		named := map[string]bool{}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
			must(t, err)
			if parsed.Doc == nil {
				continue
			}
			for _, line := range strings.Split(parsed.Doc.Text(), "\n") {
				item := strings.HasPrefix(strings.TrimSpace(line), "- ")
				if lists = lists || item; lists {
					for _, found := range listed.FindAllString(line, -1) {
						named[found] = true
					}
				}
			}
		}
		if !lists && len(files) > 2 {
			t.Errorf("%s has %d files and no list of them in its package doc", name, len(files))
		}
		for _, file := range files {
			if lists && !named[filepath.Base(file)] && !strings.HasPrefix(filepath.Base(file), "doc") {
				t.Errorf("%s: the list lacks %s", name, filepath.Base(file))
			}
			delete(named, filepath.Base(file))
		}
		for file := range named {
			t.Errorf("%s: the list names %s, which is not there", name, file)
		}
	}
}

// What is larger is parted before it is hard to find one's way in. The simulator of SES is as large as what it simulates.
const maxPackageFiles, maxPackageLines, maxFileLines = 25, 2000, 400

func TestPackagesStaySmall(t *testing.T) {
	t.Parallel()
	files, lines := map[string]int{}, map[string]int{}
	err := filepath.WalkDir(filepath.Join("..", "impl"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(file) != ".go" {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		length := bytes.Count(content, []byte("\n"))
		if length > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", file, length, maxFileLines)
		}
		if !strings.HasSuffix(file, "_test.go") {
			files[filepath.Dir(file)]++
			lines[filepath.Dir(file)] += length
		}
		return nil
	})
	must(t, err)
	if files[filepath.Join("..", "impl")] > 0 {
		t.Error("there is source directly in impl: give it a package")
	}
	delete(files, filepath.Join("..", "impl", "sessim"))
	for name := range files {
		if files[name] > maxPackageFiles || lines[name] > maxPackageLines {
			t.Errorf("%s has %d files and %d lines, more than %d or %d", name, files[name], lines[name], maxPackageFiles, maxPackageLines)
		}
	}
	if len(files) < 40 {
		t.Errorf("found %d packages", len(files))
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
