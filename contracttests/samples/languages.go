package main

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
)

// language is how the samples of a language are run.
type language struct {
	// label is the label of its samples, and folder the name of a folder.
	label, folder string
	// file returns the name of the file of an operation's sample, and what is in it.
	file func(op *operation) (name, source string)
	// prepare adds what is needed in the folder and returns the commands that run all samples.
	prepare func(folder string, all []*operation) ([][]string, error)
	// parsed reports that the samples are read only.
	parsed bool
}

func languages(set settings) []language {
	return []language{
		{label: "curl", folder: "curl", file: as("curl", ".sh"), prepare: set.script("run.sh", "bash")},
		{label: "TypeScript", folder: "typescript", file: as("TypeScript", ".ts"), prepare: set.typeScript},
		{label: "Python", folder: "python", file: as("Python", ".py"), prepare: set.script("run.py", "python3")},
		{label: "Go", folder: "go", file: goFile, prepare: goProgram},
		{label: "Java", folder: "java", file: javaFile, prepare: set.java},
		{label: "PHP", folder: "php", file: as("PHP", ".php"), prepare: set.script("run.php", "php")},
		{label: "Ruby", folder: "ruby", file: as("Ruby", ".rb"), prepare: set.script("run.rb", "ruby")},
		{label: "C#", folder: "csharp", file: as("C#", ".cs"), prepare: set.script("parse.py", set.parser), parsed: true},
	}
}

// as returns the sample as it is, in a file with this extension.
func as(label, extension string) func(*operation) (string, string) {
	return func(op *operation) (string, string) {
		return filepath.Join("samples", op.id+extension), op.samples[label]
	}
}

// script returns the command that runs all samples with one of the runners.
func (set settings) script(runner, interpreter string) func(string, []*operation) ([][]string, error) {
	return func(string, []*operation) ([][]string, error) {
		program, err := filepath.Abs(filepath.Join(set.runners, runner))
		if err != nil {
			return nil, fmt.Errorf("find the runner: %w", err)
		}
		if strings.Contains(interpreter, "/") {
			if interpreter, err = filepath.Abs(interpreter); err != nil {
				return nil, fmt.Errorf("find the interpreter: %w", err)
			}
		}
		return [][]string{{interpreter, program, "samples"}}, nil
	}
}

// typeScript has the compiler check the samples, and runs what it makes of them.
func (set settings) typeScript(folder string, _ []*operation) ([][]string, error) {
	modules, err := filepath.Abs(set.modules)
	if err != nil {
		return nil, fmt.Errorf("find TypeScript: %w", err)
	}
	if err := os.Symlink(modules, filepath.Join(folder, "node_modules")); err != nil {
		return nil, fmt.Errorf("link to TypeScript: %w", err)
	}
	const configuration = `{"compilerOptions": {"strict": true, "target": "es2022", "module": "nodenext", "moduleDetection": "force",
  "types": ["node"], "outDir": "compiled", "rootDir": "samples"}, "include": ["samples"]}`
	if err := write(filepath.Join(folder, "tsconfig.json"), configuration); err != nil {
		return nil, err
	}
	if err := write(filepath.Join(folder, "package.json"), `{"type": "module"}`); err != nil {
		return nil, err
	}
	runner, err := filepath.Abs(filepath.Join(set.runners, "run.mjs"))
	if err != nil {
		return nil, fmt.Errorf("find the runner: %w", err)
	}
	return [][]string{{"node", filepath.Join(modules, "typescript", "bin", "tsc")}, {"node", runner, "compiled"}}, nil
}

// goFile returns the sample as a package of its own, so that all of them are one program.
func goFile(op *operation) (name, source string) {
	source = strings.Replace(op.samples["Go"], "package main\n", "package "+strings.ToLower(op.id)+"\n", 1)
	return filepath.Join(strings.ToLower(op.id), "sample.go"), strings.Replace(source, "\nfunc main() {", "\nfunc Main() {", 1)
}

// goProgram makes a program of the samples, which have to be formatted as gofmt does.
func goProgram(folder string, all []*operation) ([][]string, error) {
	var imports, calls strings.Builder
	for _, op := range all {
		sample := op.samples["Go"]
		if formatted, err := format.Source([]byte(sample)); err != nil || string(formatted) != sample {
			return nil, fmt.Errorf("%s is not formatted: %w\n%s", op.id, err, formatted)
		}
		name := strings.ToLower(op.id)
		fmt.Fprintf(&imports, "\t\"samples/%s\"\n", name)
		fmt.Fprintf(&calls, "\t%s.Main()\n", name)
	}
	program, err := format.Source([]byte("package main\n\nimport (\n" + imports.String() + ")\n\nfunc main() {\n" + calls.String() + "}\n"))
	if err != nil {
		return nil, fmt.Errorf("format the program: %w", err)
	}
	if err := write(filepath.Join(folder, "main.go"), string(program)); err != nil {
		return nil, err
	}
	if err := write(filepath.Join(folder, "go.mod"), "module samples\n\ngo 1.22\n"); err != nil {
		return nil, err
	}
	return [][]string{{"go", "build", "-trimpath", "-o", "all", "."}, {"./all"}}, nil
}

func javaFile(op *operation) (name, source string) {
	return strings.ToUpper(op.id[:1]) + op.id[1:] + ".java", op.samples["Java"]
}

// java compiles all samples at once and runs them in one process.
func (set settings) java(folder string, all []*operation) ([][]string, error) {
	runner, err := os.ReadFile(filepath.Join(set.runners, "Run.java"))
	if err != nil {
		return nil, fmt.Errorf("read the runner: %w", err)
	}
	if err := write(filepath.Join(folder, "Run.java"), string(runner)); err != nil {
		return nil, err
	}
	compile, run := []string{"javac", "-d", "compiled", "Run.java"}, []string{"java", "-cp", "compiled", "Run"}
	for _, op := range all {
		name, _ := javaFile(op)
		compile, run = append(compile, name), append(run, strings.TrimSuffix(name, ".java"))
	}
	return [][]string{compile, run}, nil
}
