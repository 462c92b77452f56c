package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// parsed returns a client for a language without a runtime here: it is generated, and every file is parsed.
func parsed(name, suffix, document, settings string, generator command) language {
	return language{
		name: name, folder: "parse", tools: []string{"java", "mvn", "python3"},
		prepare: []command{
			generator,
			{"python3", "-m", "venv", "venv"},
			{"./venv/bin/pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt"},
			generate(document, name, settings),
		},
		parse: command{"./venv/bin/python", "parse.py", "generated", suffix},
	}
}

// parse generates the client of a language and parses it.
func (w *workshop) parse(ctx context.Context, one language) (verdict, error) {
	build := filepath.Join(w.root, "bin", "sdk", one.name)
	source := filepath.Join(w.root, "contracttests", "sdk", one.folder)
	if err := one.build(ctx, source, build, w.server.environment(), &w.maven); err != nil {
		return verdict{}, err
	}
	files, err := one.parseFiles(ctx, build, w.server.environment())
	return verdict{files: files}, err
}

// parseFiles parses the files in the build folder and returns their number.
func (l language) parseFiles(ctx context.Context, build string, environment []string) (int, error) {
	output, err := l.parse.output(ctx, build, environment)
	if err != nil {
		return 0, err
	}
	files, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		return 0, fmt.Errorf("read the number of files: %w", err)
	}
	return files, nil
}
