package pages

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is what the reference shows of one operation.
type operation struct {
	ID, Method, Path, Tag, Summary string
	About                          template.HTML
	Secured, Deprecated            bool
	Parameters                     []parameter
	Body                           *requestBody
	Answers                        []answer
	Samples                        []sample
	// Callback reports that the operation leads to requests to the client.
	Callback bool
}

type parameter struct {
	field
	In string
}

type requestBody struct {
	// Types are the media types that a body may have, Type the one that is sent unless the reader chooses another.
	Types    []string
	Type     string
	Required bool
	Members  []field
	Examples []example
}

type example struct{ Summary, Code string }

type answer struct {
	Status   int
	About    template.HTML
	Headers  []field
	Members  []field
	Type     string
	Examples []example
	// Problems are the codes of the problems among the examples, with an example of each.
	Problems []problemExample
}

type problemExample struct{ Code, Summary, Body string }

// chapter is a tag with its operations.
type chapter struct {
	Name, Title string
	About       template.HTML
	Operations  []*operation
}

type reference struct {
	Title, Version string
	About          template.HTML
	Chapters       []chapter
}

// reference returns what the reference shows.
func (d *document) reference(operations []*operation) (*reference, error) {
	about, err := prose(d.Info.Description)
	if err != nil {
		return nil, err
	}
	made := &reference{Title: d.Info.Title, Version: d.Info.Version, About: about}
	for _, tag := range d.Tags {
		about, err := prose(tag.Description)
		if err != nil {
			return nil, err
		}
		of := chapter{Name: tag.Name, Title: titleOf(tag.Name), About: about}
		for _, op := range operations {
			if op.Tag == tag.Name {
				of.Operations = append(of.Operations, op)
			}
		}
		made.Chapters = append(made.Chapters, of)
	}
	return made, nil
}

// titleOf returns the name of a tag for readers.
func titleOf(tag string) string {
	words := strings.ReplaceAll(tag, "-", " ")
	return strings.ReplaceAll(strings.ToUpper(words[:1])+words[1:], "Api ", "API ")
}

// operations returns the operations in the order of the document.
func (d *document) operations() ([]*operation, error) {
	type placed struct {
		*operation
		line int
	}
	var found []placed
	for path, item := range d.Paths.Map() {
		for method, op := range item.Operations() {
			made, err := d.newOperation(path, method, item, op)
			if err != nil {
				return nil, fmt.Errorf("show %s %s: %w", method, path, err)
			}
			found = append(found, placed{made, line(op.Origin)})
		}
	}
	slices.SortFunc(found, func(a, b placed) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.ID, b.ID)) })
	made := make([]*operation, 0, len(found))
	for _, one := range found {
		made = append(made, one.operation)
	}
	return made, nil
}

func (d *document) newOperation(path, method string, item *openapi3.PathItem, op *openapi3.Operation) (*operation, error) {
	about, err := prose(op.Description)
	if err != nil {
		return nil, err
	}
	made := &operation{ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, About: about}
	made.Callback, made.Deprecated = len(op.Callbacks) > 0, op.Deprecated
	if len(op.Tags) > 0 {
		made.Tag = op.Tags[0]
	}
	security := op.Security
	if security == nil {
		security = &d.Security
	}
	made.Secured = len(*security) > 0
	for _, listed := range slices.Concat(item.Parameters, op.Parameters) {
		shown, err := newParameter(listed.Value)
		if err != nil {
			return nil, err
		}
		made.Parameters = append(made.Parameters, shown)
	}
	slices.SortStableFunc(made.Parameters, func(a, b parameter) int { return cmp.Compare(placeOf(a.In), placeOf(b.In)) })
	if op.RequestBody != nil {
		if made.Body, err = newBody(op.RequestBody.Value); err != nil {
			return nil, err
		}
	}
	if made.Answers, err = newAnswers(op.Responses); err != nil {
		return nil, err
	}
	made.Samples, err = samplesOf(op)
	return made, err
}

// placeOf orders parameters: those that are needed come first.
func placeOf(in string) int { return slices.Index([]string{"path", "query", "header"}, in) }

func newParameter(given *openapi3.Parameter) (parameter, error) {
	made, err := newField(given.Name, given.Schema, given.Required, 0)
	if err != nil {
		return parameter{}, err
	}
	if made.About, err = prose(given.Description); err != nil {
		return parameter{}, err
	}
	made.Deprecated = given.Deprecated
	if given.Example != nil {
		made.Example = fmt.Sprint(given.Example)
	}
	return parameter{field: made, In: given.In}, nil
}

// mergePatch is what a PATCH sends (RFC 7396).
const mergePatch = "application/merge-patch+json"

func newBody(given *openapi3.RequestBody) (*requestBody, error) {
	made := &requestBody{Required: given.Required, Types: slices.Sorted(maps.Keys(given.Content)), Type: "application/json"}
	if slices.Contains(made.Types, mergePatch) {
		made.Type = mergePatch
	}
	media := given.Content[made.Type]
	if media == nil {
		return nil, fmt.Errorf("there is no %s among %v", made.Type, made.Types)
	}
	var err error
	if made.Members, err = members(media.Schema, 0); err != nil {
		return nil, err
	}
	made.Examples, err = examplesOf(media)
	return made, err
}

// examplesOf returns the examples of a body in the order of the document.
func examplesOf(media *openapi3.MediaType) ([]example, error) {
	if media.Example != nil {
		code, err := encode(media.Example, media.Schema)
		return []example{{"Example", code}}, err
	}
	var made []example
	for _, name := range inOrderOf(media.Examples) {
		shown := media.Examples[name].Value
		code, err := encode(shown.Value, media.Schema)
		if err != nil {
			return nil, err
		}
		made = append(made, example{cmp.Or(shown.Summary, name), code})
	}
	return made, nil
}

func inOrderOf(examples openapi3.Examples) []string {
	place := func(name string) int {
		if examples[name].Ref == "" {
			return line(examples[name].Value.Origin)
		}
		return line(examples[name].Origin)
	}
	return slices.SortedFunc(maps.Keys(examples), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	})
}

func newAnswers(responses *openapi3.Responses) ([]answer, error) {
	var made []answer
	for _, status := range slices.Sorted(maps.Keys(responses.Map())) {
		response := responses.Value(status).Value
		number, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("the status %q is not a number: %w", status, err)
		}
		one := answer{Status: number}
		if response.Description != nil {
			if one.About, err = prose(*response.Description); err != nil {
				return nil, err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(response.Headers)) {
			shown, err := newParameter(&response.Headers[name].Value.Parameter)
			if err != nil {
				return nil, err
			}
			shown.Name = name
			one.Headers = append(one.Headers, shown.field)
		}
		for _, contentType := range slices.Sorted(maps.Keys(response.Content)) {
			if err := one.addContent(contentType, response.Content[contentType]); err != nil {
				return nil, err
			}
		}
		made = append(made, one)
	}
	return made, nil
}

func (a *answer) addContent(contentType string, media *openapi3.MediaType) error {
	found, err := examplesOf(media)
	if err != nil {
		return err
	}
	if contentType != "application/problem+json" {
		a.Type, a.Examples = contentType, append(a.Examples, found...)
		a.Members, err = members(media.Schema, 0)
		return err
	}
	for _, one := range found {
		var body struct{ Code string }
		if err := json.Unmarshal([]byte(one.Code), &body); err != nil {
			return fmt.Errorf("read the example %q: %w", one.Summary, err)
		}
		a.Problems = append(a.Problems, problemExample{body.Code, one.Summary, one.Code})
	}
	return nil
}
