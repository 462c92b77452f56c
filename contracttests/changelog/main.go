// Command changelog writes the part of CHANGELOG.md about what is not released: the difference between
// contracttests/released.yaml and gen/openapi/openapi.yaml, as oasdiff finds it. It is `make changelog`. With -check it
// writes nothing, and fails when the file does not say what the difference is; with -release it gives that part the version.
//
//   - main.go: the command and the file
//   - changes.go: from what oasdiff finds to lines for people
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
)

const (
	file      = "CHANGELOG.md"
	released  = "contracttests/released.yaml"
	published = "gen/openapi/openapi.yaml"
	heading   = "## Unreleased\n"
	preface   = `# Changes of the API

What changed for clients, release by release. "Unreleased" is the difference between the released document and the one
that this server publishes; it is generated (see contracttests/README.md), the rest is not touched.

`
)

func main() {
	check := flag.Bool("check", false, "fail when the file is not up to date, and write nothing")
	release := flag.String("release", "", "the version that what was unreleased gets")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: changelog [-check] [-release=version] oasdiff")
	}
	if err := run(context.Background(), os.Stdout, flag.Arg(0), *check, *release); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, oasdiff string, check bool, release string) error {
	before, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		before, err = []byte(preface+heading), nil
	}
	if err != nil {
		return fmt.Errorf("read the changelog: %w", err)
	}
	changes, err := compare(ctx, oasdiff)
	if err != nil {
		return err
	}
	after, err := replace(string(before), section(changes))
	if err != nil {
		return err
	}
	if release != "" {
		after = strings.Replace(after, heading, heading+"\nNothing.\n\n## "+release+"\n", 1)
	}
	if check {
		if after != string(before) {
			return fmt.Errorf("%s does not say what changed: run make changelog and commit it", file)
		}
		_, err = fmt.Fprintf(out, "%s: %d changes of the document, all of them told\n", file, len(changes))
		return err
	}
	if err := os.WriteFile(file, []byte(after), 0o600); err != nil {
		return fmt.Errorf("write the changelog: %w", err)
	}
	return nil
}

// compare returns what oasdiff finds.
func compare(ctx context.Context, oasdiff string) ([]change, error) {
	var complaints bytes.Buffer
	command := exec.CommandContext(ctx, oasdiff, "changelog", "--format", "json", "--allow-external-refs=false", released, published)
	command.Stderr = &complaints
	found, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("compare the documents: %w: %s", err, complaints.String())
	}
	if len(bytes.TrimSpace(found)) == 0 {
		return nil, nil
	}
	var changes []change
	if err := json.Unmarshal(found, &changes); err != nil {
		return nil, fmt.Errorf("read what oasdiff found: %w", err)
	}
	return changes, nil
}

// replace puts a section in the place of what is unreleased. The sections of releases follow it.
func replace(text, section string) (string, error) {
	start := strings.Index(text, heading)
	if start < 0 {
		return "", fmt.Errorf("%s has no heading %q", file, strings.TrimSpace(heading))
	}
	rest := ""
	if next := strings.Index(text[start+len(heading):], "\n## "); next >= 0 {
		rest = text[start+len(heading)+next:]
	}
	return text[:start] + heading + "\n" + section + rest, nil
}
