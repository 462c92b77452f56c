// Command go takes the steps of the SDK scenario with the Go client, gen/api. See contracttests/sdk/run.
//
//   - main.go: the steps' input and output; steps.go: the operations; webhooks.go: the deliveries
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

// sentLimit bounds the wait for a message to be sent.
const sentLimit = 2 * time.Minute

type step struct {
	Name   string          `json:"name"`
	Client string          `json:"client"`
	Input  json.RawMessage `json:"input"`
}

// observed holds the contents of a typed response, by their names in the scenario.
type observed map[string]any

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	text, err := os.ReadFile(os.Getenv("MAILSTACK_SCENARIO"))
	if err != nil {
		return fmt.Errorf("read the scenario: %w", err)
	}
	var scenario struct {
		Steps []step `json:"steps"`
	}
	if err := json.Unmarshal(text, &scenario); err != nil {
		return fmt.Errorf("read the scenario: %w", err)
	}
	clients, err := connect()
	if err != nil {
		return err
	}
	runner := &runner{}
	steps := runner.steps()
	for _, one := range scenario.Steps {
		take, known := steps[one.Name]
		if !known {
			return fmt.Errorf("the runner lacks the step %q", one.Name)
		}
		delete(steps, one.Name)
		runner.client, runner.input = clients[one.Client], one.Input
		found, err := take(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"step": one.Name, "observed": found}); err != nil {
			return fmt.Errorf("print what was found: %w", err)
		}
	}
	for name := range steps {
		return fmt.Errorf("the runner adds the step %q", name)
	}
	return nil
}

// connect makes a client for each caller that a step may name.
func connect() (map[string]*api.ClientWithResponses, error) {
	clients := make(map[string]*api.ClientWithResponses)
	for name, at := range map[string][2]string{
		"":          {"MAILSTACK_URL", "MAILSTACK_API_KEY"},
		"exhausted": {"MAILSTACK_URL", "MAILSTACK_EXHAUSTED_API_KEY"},
		"future":    {"MAILSTACK_FUTURE_URL", "MAILSTACK_API_KEY"},
	} {
		client, err := api.NewClientWithResponses(os.Getenv(at[0]), api.WithRequestEditorFn(
			func(_ context.Context, request *http.Request) error {
				request.Header.Set("Authorization", "Bearer "+os.Getenv(at[1]))
				return nil
			}))
		if err != nil {
			return nil, fmt.Errorf("set up a client: %w", err)
		}
		clients[name] = client
	}
	return clients, nil
}

// read decodes the input of a step into the typed request.
func read[T any](input json.RawMessage) (T, error) {
	var request T
	if err := json.Unmarshal(input, &request); err != nil {
		return request, fmt.Errorf("read the input: %w", err)
	}
	return request, nil
}

// refused returns the contents of a typed problem.
func refused(httpStatus int, problem *api.Problem) (observed, error) {
	if problem == nil {
		return nil, fmt.Errorf("no problem was decoded from an answer with status %d", httpStatus)
	}
	pointers := make([]string, 0, len(problem.Errors))
	for _, one := range problem.Errors {
		pointers = append(pointers, one.Pointer)
	}
	return observed{
		"http": httpStatus, "status": problem.Status, "type": problem.Type, "code": problem.Code, "title": problem.Title,
		"detail": problem.Detail, "requestId": problem.RequestID, "pointers": pointers,
	}, nil
}

// collect returns one member of every element, in order.
func collect[E, M any](elements []E, member func(E) M) []M {
	collected := make([]M, 0, len(elements))
	for _, element := range elements {
		collected = append(collected, member(element))
	}
	return collected
}

var errUndecoded = errors.New("the answer was not decoded")
