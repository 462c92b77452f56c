package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/pb33f/go-yaml"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"
)

// examples has the validator judge each example of a body as the request or the response that it is an example of.
func examples(document *v3.Document, judge validator.Validator) (counts, error) {
	var judged counts
	for path, item := range document.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			one := call{strings.ToUpper(method), filled(path, item, operation), operation}
			requests, err := one.requests(judge)
			if err != nil {
				return judged, fmt.Errorf("%s: %w", operation.OperationId, err)
			}
			responses, err := one.responses(judge)
			if err != nil {
				return judged, fmt.Errorf("%s: %w", operation.OperationId, err)
			}
			judged.requests, judged.responses = judged.requests+requests, judged.responses+responses
		}
	}
	return judged, nil
}

// filled returns a path with the examples of its parameters.
func filled(path string, item *v3.PathItem, operation *v3.Operation) string {
	for _, parameter := range append(item.Parameters, operation.Parameters...) {
		if parameter.In == "path" && parameter.Example != nil {
			path = strings.ReplaceAll(path, "{"+parameter.Name+"}", parameter.Example.Value)
		}
	}
	return path
}

// call is an operation and how it is called.
type call struct {
	method, path string
	operation    *v3.Operation
}

func (c call) request(media string, body []byte) *http.Request {
	request := httptest.NewRequest(c.method, c.path, bytes.NewReader(body))
	request.Header.Set("Authorization", "Bearer ms_live_8f3k2x9q_secret")
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	return request
}

// requests judges the examples of the body, or a request without one.
func (c call) requests(judge validator.Validator) (int, error) {
	if c.operation.RequestBody == nil {
		return 1, c.judgeRequest(judge, "", nil)
	}
	judged := 0
	err := each(c.operation.RequestBody.Content, func(media string, body []byte) error {
		judged++
		return c.judgeRequest(judge, media, body)
	})
	return judged, err
}

func (c call) judgeRequest(judge validator.Validator, media string, body []byte) error {
	if valid, found := judge.ValidateHttpRequest(c.request(media, body)); !valid {
		return joined("a request", found)
	}
	return nil
}

// responses judges the examples of the bodies of all responses.
func (c call) responses(judge validator.Validator) (int, error) {
	if c.operation.Responses == nil {
		return 0, errors.New("there are no responses")
	}
	judged := 0
	for status, response := range c.operation.Responses.Codes.FromOldest() {
		code, err := strconv.Atoi(status)
		if err != nil {
			return judged, fmt.Errorf("read a status: %w", err)
		}
		header := http.Header{}
		for name, one := range response.Headers.FromOldest() {
			if one.Example != nil {
				header.Set(name, one.Example.Value)
			}
		}
		err = each(response.Content, func(media string, body []byte) error {
			judged++
			header.Set("Content-Type", media)
			answer := &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(bytes.NewReader(body))}
			if valid, found := judge.ValidateHttpResponse(c.request("", nil), answer); !valid {
				return joined(status, found)
			}
			return nil
		})
		if err != nil {
			return judged, err
		}
	}
	return judged, nil
}

// each passes on every example of a body as JSON.
func each(content *orderedmap.Map[string, *v3.MediaType], judge func(media string, body []byte) error) error {
	for media, described := range content.FromOldest() {
		for name, example := range described.Examples.FromOldest() {
			body, err := asJSON(example.Value)
			if err != nil {
				return fmt.Errorf("example %s: %w", name, err)
			}
			if err := judge(media, body); err != nil {
				return fmt.Errorf("example %s: %w", name, err)
			}
		}
	}
	return nil
}

func asJSON(node *yaml.Node) ([]byte, error) {
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return body, nil
}
