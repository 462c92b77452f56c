package main

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// A mapping node holds names and values in turn.

// place returns where in a map the name of a member is, or -1.
func place(object *yaml.Node, name string) int {
	for i := 0; object != nil && i < len(object.Content); i += 2 {
		if object.Content[i].Value == name {
			return i
		}
	}
	return -1
}

func get(object *yaml.Node, name string) *yaml.Node {
	if at := place(object, name); at >= 0 {
		return object.Content[at+1]
	}
	return nil
}

// take removes a member, and returns its value or nil.
func take(object *yaml.Node, name string) *yaml.Node {
	value := get(object, name)
	if at := place(object, name); at >= 0 {
		object.Content = slices.Delete(object.Content, at, at+2)
	}
	return value
}

// set adds a member at the end.
func set(object *yaml.Node, name string, value *yaml.Node) {
	object.Content = append(object.Content, text(name), value)
}

// insert adds a member after another.
func insert(object *yaml.Node, after, name string, value *yaml.Node) {
	object.Content = slices.Insert(object.Content, place(object, after)+2, text(name), value)
}

// rename gives a member another name and value in the same place.
func rename(object *yaml.Node, name, other string, value *yaml.Node) {
	at := place(object, name)
	object.Content[at], object.Content[at+1] = text(other), value
}

func newMap(members ...any) *yaml.Node {
	made := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i < len(members); i += 2 {
		set(made, members[i].(string), members[i+1].(*yaml.Node))
	}
	return made
}

func newList(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// text returns a string, which is quoted where it would not be read as one.
func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}
