// Command libopenapi holds the published documents against libopenapi-validator, which other Go programs judge requests
// and responses with. Its arguments are the documents. Each has to be accepted as a document, and each of its examples
// as a request or a response; the program fails otherwise. Because a validator that accepts everything proves nothing,
// it has to refuse every document of flaws.go first.
//
// The files:
//
//   - main.go: the documents; flaws.go: what has to be refused
//   - examples.go: the examples as requests and responses
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	problems "github.com/pb33f/libopenapi-validator/errors"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "libopenapi-validator:", err)
		os.Exit(1)
	}
}

func run(files []string, out io.Writer) error {
	if len(files) == 0 {
		return errors.New("name the documents")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read a document: %w", err)
		}
		noticed, err := refused(text)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		judged, err := accepted(text)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		_, _ = fmt.Fprintf(out, "libopenapi-validator: %s accepted, with %d requests and %d responses; %d flaws noticed\n",
			filepath.Base(file), judged.requests, judged.responses, noticed)
	}
	return nil
}

// counts is how much of a document was judged.
type counts struct{ requests, responses int }

// accepted returns an error unless the validator accepts the document and its examples.
func accepted(text []byte) (counts, error) {
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return counts{}, fmt.Errorf("parse: %w", err)
	}
	judge, failures := validator.NewValidator(document, config.WithFormatAssertions(), config.WithContentAssertions())
	if len(failures) > 0 {
		return counts{}, fmt.Errorf("build the validator: %w", errors.Join(failures...))
	}
	defer judge.Release()
	if valid, found := judge.ValidateDocument(); !valid {
		return counts{}, joined("validate the document", found)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		return counts{}, fmt.Errorf("build the model: %w", err)
	}
	return examples(&model.Model, judge)
}

func joined(what string, found []*problems.ValidationError) error {
	all := make([]error, len(found))
	for i, one := range found {
		all[i] = one
	}
	return fmt.Errorf("%s: %w", what, errors.Join(all...))
}
