package samples

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/oasdiff/yaml3"
)

// operation is what templates know of an operation.
type operation struct {
	ID, Method string
	// Path has the examples of the path's parameters in it.
	Path string
	// Server is the document's first server.
	Server  string
	Secured bool
	// body is the first example of the request's body, or nil.
	body *yaml.Node
	// line is the number of the line of the operation's id, from 0.
	line int
}

// Name returns the operation's id as the name of a type.
func (op *operation) Name() string { return strings.ToUpper(op.ID[:1]) + op.ID[1:] }

// Verb returns the method as languages write it that have a name for it: Get, Post.
func (op *operation) Verb() string { return op.Method[:1] + strings.ToLower(op.Method[1:]) }

// Body reports whether the request has a body.
func (op *operation) Body() bool { return op.body != nil }

// read returns the operations of a document, in its order.
func read(document []byte) ([]*operation, error) {
	var parsed yaml.Node
	if err := yaml.Unmarshal(document, &parsed); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	doc := tree{parsed.Content[0]}
	server := doc.server()
	var found []*operation
	for path, item := range doc.at("paths").members() {
		for method, given := range item.members() {
			id := given.at("operationId")
			if id.node == nil {
				continue
			}
			op := &operation{
				ID: id.node.Value, Method: strings.ToUpper(method), Path: path, Server: server, line: id.node.Line - 1,
				Secured: given.at("security").node == nil, body: doc.firstExample(given),
			}
			if given.at("requestBody").node != nil && op.body == nil {
				return nil, fmt.Errorf("%s: the body has no example", op.ID)
			}
			for _, listed := range item.at("parameters").items() {
				shown := doc.follow(listed)
				name, example := shown.text("name"), shown.at("example")
				if example.node == nil {
					return nil, fmt.Errorf("%s: the parameter %s has no example", op.ID, name)
				}
				op.Path = strings.ReplaceAll(op.Path, "{"+name+"}", url.PathEscape(example.node.Value))
			}
			found = append(found, op)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("the document has no operations")
	}
	return found, nil
}

// server returns the URL of the document's first server, with the defaults of its variables.
func (t tree) server() string {
	first := t.at("servers").first()
	made := first.text("url")
	for name, variable := range first.at("variables").members() {
		made = strings.ReplaceAll(made, "{"+name+"}", variable.text("default"))
	}
	return made
}

// tree is a value of the document, whose members keep their order. What is missing has no node.
type tree struct{ node *yaml.Node }

func (t tree) at(name string) tree {
	for found, value := range t.members() {
		if found == name {
			return value
		}
	}
	return tree{}
}

func (t tree) text(name string) string {
	if found := t.at(name); found.node != nil {
		return found.node.Value
	}
	return ""
}

// members calls yield with each member, in order.
func (t tree) members() func(yield func(string, tree) bool) {
	return func(yield func(string, tree) bool) {
		if t.node == nil || t.node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(t.node.Content); i += 2 {
			if !yield(t.node.Content[i].Value, tree{t.node.Content[i+1]}) {
				return
			}
		}
	}
}

func (t tree) items() []tree {
	if t.node == nil || t.node.Kind != yaml.SequenceNode {
		return nil
	}
	found := make([]tree, 0, len(t.node.Content))
	for _, item := range t.node.Content {
		found = append(found, tree{item})
	}
	return found
}

func (t tree) first() tree {
	for _, item := range t.items() {
		return item
	}
	return tree{}
}

// follow returns what a reference within the document names, or the value itself.
func (t tree) follow(value tree) tree {
	pointer, isReference := strings.CutPrefix(value.text("$ref"), "#/")
	if !isReference {
		return value
	}
	for step := range strings.SplitSeq(pointer, "/") {
		t = t.at(step)
	}
	return t
}

// firstExample returns the first example of an operation's body.
func (t tree) firstExample(operation tree) *yaml.Node {
	for _, example := range operation.at("requestBody").at("content").at("application/json").at("examples").members() {
		return t.follow(example).at("value").node
	}
	return nil
}

func quoted(text string) string { return strconv.Quote(text) }
