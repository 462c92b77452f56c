package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

func steps(expect map[string]any) scenario {
	return scenario{Steps: []step{
		{Name: "make", Operation: "make", Expect: map[string]any{"id": map[string]any{"is": "uuid"}}},
		{Name: "look", Operation: "look", Expect: expect},
	}}
}

const madeID = "0197b2c4-5a10-7cc3-9d4e-1f0a2b3c4d5e"

func looked(observed map[string]any) []finding {
	return []finding{{Step: "make", Observed: map[string]any{"id": madeID}}, {Step: "look", Observed: observed}}
}

func TestJudgeRules(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		expected, right any
		wrong           []any
	}{
		"value":   {"Sent", "Sent", []any{"Queued", nil, 1.0}},
		"null":    {nil, nil, []any{"", 0.0, []any{}}},
		"number":  {3.0, 3.0, []any{4.0, "3"}},
		"list":    {[]any{"a", nil}, []any{"a", nil}, []any{[]any{"a"}, []any{nil, "a"}, []any{"a", nil, nil}, "a"}},
		"uuid":    {map[string]any{"is": "uuid"}, madeID, []any{"", "x", nil}},
		"time":    {map[string]any{"is": "time"}, "2026-06-18T10:00:00Z", []any{"2026-06-18", nil}},
		"text":    {map[string]any{"is": "text"}, "x", []any{" ", nil}},
		"pattern": {map[string]any{"matches": "^a+$"}, "aa", []any{"ab", nil}},
		"instant": {map[string]any{"time": "2099-12-31T23:59:59Z"}, "2099-12-31T23:59:59+00:00", []any{"2099-12-31T23:59:58Z", nil}},
		"unknown": {map[string]any{"unknown": "new"}, "new", []any{"old", nil}},
		"dropped": {map[string]any{"unknown": "new"}, "unknown_default_open_api", []any{""}},
		"set":     {map[string]any{"set": []any{"a", "b"}}, []any{"b", "a"}, []any{[]any{"a"}, []any{"a", "a"}, []any{"a", "b", "c"}, "a", nil}},
		"earlier": {map[string]any{"from": "make", "member": "id"}, madeID, []any{"x", nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := steps(map[string]any{"it": one.expected})
			if result := judge(expected, looked(map[string]any{"it": one.right})); !result.ok() {
				t.Errorf("the right value failed: %q", result.failures)
			}
			for _, wrong := range one.wrong {
				if result := judge(expected, looked(map[string]any{"it": wrong})); result.ok() || result.passed != 1 {
					t.Errorf("%v passed", wrong)
				}
			}
		})
	}
}

func TestJudgeSteps(t *testing.T) {
	t.Parallel()
	expected := steps(map[string]any{"it": "Sent"})
	whole := looked(map[string]any{"it": "Sent"})
	if result := judge(expected, whole); !result.ok() || result.passed != 2 {
		t.Fatalf("the whole run failed: %q", result.failures)
	}
	for name, found := range map[string][]finding{
		"none":          nil,
		"last missing":  whole[:1],
		"first missing": whole[1:],
		"swapped":       {whole[1], whole[0]},
		"twice":         append(slices.Clone(whole), whole[1]),
		"not looked at": looked(map[string]any{}),
		"one more":      looked(map[string]any{"it": "Sent", "other": 1.0}),
	} {
		if result := judge(expected, found); result.ok() {
			t.Errorf("%s: passed", name)
		}
	}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	routes, err := documentedRoutes()
	if err != nil {
		t.Fatal(err)
	}
	calls := &recorder{routes: routes}
	handler := calls.before(http.NotFoundHandler())
	for _, request := range [][2]string{
		{"POST", "/v1/emails/batch"}, {"GET", "/v1/emails/" + madeID}, {"GET", "/v1/emails/" + madeID}, {"DELETE", "/v1/domains/" + madeID},
	} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), request[0], request[1], http.NoBody))
	}
	if err := calls.check([]string{"sendBatch", "getEmail", "deleteDomain"}); err != nil {
		t.Error(err)
	}
	for _, wrong := range [][]string{nil, {"sendBatch"}, {"sendBatch", "deleteDomain", "getEmail"}, {"sendBatch", "getEmail", "deleteDomain", "getUsage"}} {
		if calls.check(wrong) == nil {
			t.Errorf("%s passed", wrong)
		}
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	one := language{sources: ".py", raw: regexp.MustCompile(`requests`)}
	for text, allowed := range map[string]bool{
		"from mailstack import Client": true, "import requests": false, "import subprocess": false, "curl -d": false,
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "runner.py"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := one.checkSources(folder); (err == nil) != allowed {
			t.Errorf("%s: %v", text, err)
		}
	}
	if one.checkSources(t.TempDir()) == nil {
		t.Error("a folder without a runner passed")
	}
}

func TestScenario(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "scenario.json")
	const text = `{"steps": [{"name": "call", "operation": "getEmail", "expect": {}}, {"name": "look", "input": "{{body}} {{name}}", "expect": {}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	body := "{\"a\":\"\\u00e9 <\\n\"}\n"
	loaded, err := loadScenario(file, map[string]string{"body": body})
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Steps[1].Input != body+" {{name}}" {
		t.Errorf("the input is %q", loaded.Steps[1].Input)
	}
	if operations := loaded.operations(); !slices.Equal(operations, []string{"getEmail"}) {
		t.Errorf("the operations are %s", operations)
	}
}

func TestParseFiles(t *testing.T) {
	t.Parallel()
	for script, right := range map[string]bool{
		"echo 3": true, "echo 0": false, "true": false, "echo many": false, "echo Domain.cs:7 >&2; exit 1": false,
	} {
		one := language{parse: command{"sh", "-c", script}}
		files, err := one.parseFiles(t.Context(), t.TempDir(), os.Environ())
		result := verdict{files: files}
		if (err == nil && result.ok()) != right {
			t.Errorf("%s: %s, %v", script, result, err)
		}
	}
}

func TestVerdictLines(t *testing.T) {
	t.Parallel()
	for line, result := range map[string]verdict{
		"2/3 passed": {passed: 2, steps: 3},
		"generated and parsed, 4 files (no runtime here)": {files: 4},
		"not generated and parsed":                        {},
	} {
		if got := result.String(); got != line {
			t.Errorf("the line is %q, expected %q", got, line)
		}
	}
}

func TestSourcesOfGo(t *testing.T) {
	t.Parallel()
	known, err := choose(languages(t.TempDir()), []string{"go"})
	if err != nil {
		t.Fatal(err)
	}
	for text, forbidden := range map[string]bool{"http.Header": false, "http.Head(": true, "http.Get(": true, "http.NewRequestWithContext": true} {
		if known[0].raw.MatchString(text) != forbidden {
			t.Errorf("%s: forbidden is %t", text, !forbidden)
		}
	}
}
