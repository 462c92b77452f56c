package compose_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/compose"
	"github.com/voostack/mailstack/impl/problem"
)

// expensive is a request of two kilobytes whose parts take almost as many steps as one part may.
func expensive() *api.SendEmailRequest {
	list := make([]any, 55)
	for i := range list {
		list[i] = "x"
	}
	nested := "{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}"
	return &api.SendEmailRequest{
		From: "a@mail.test", To: "b@example.com", Subject: "s{{#l}}{{#l}}{{/l}}{{/l}}", HTML: "h" + nested, Text: "t" + nested,
		Variables: map[string]any{"l": list},
	}
}

// What one request may have rendered is bounded in all, however many items it has.
func TestRenderingIsBoundedPerRequest(t *testing.T) {
	t.Parallel()
	composer, rendering := &compose.Composer{}, compose.NewRendering()
	composed := 0
	for range 20 {
		_, err := composer.Compose(t.Context(), compose.Sender{}, expensive(), rendering)
		var refusal *problem.Problem
		switch {
		case err == nil:
			composed++
		case !errors.As(err, &refusal) || refusal.Code != api.ProblemCodeTemplateInvalid || !strings.Contains(refusal.Detail, "300000 steps"):
			t.Fatal(err)
		}
	}
	if composed > 1 {
		t.Errorf("%d items were rendered", composed)
	}
	cheap := &api.SendEmailRequest{From: "a@mail.test", To: "b@example.com", Subject: "Hello {{n}}", Text: "{{n}}", Variables: map[string]any{"n": "Ann"}}
	for range 100 {
		if _, err := composer.Compose(t.Context(), compose.Sender{}, cheap, compose.NewRendering()); err != nil {
			t.Fatal(err)
		}
	}
}

// A client that has gone has nothing rendered.
func TestRenderingEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&compose.Composer{}).Compose(ctx, compose.Sender{}, expensive(), compose.NewRendering()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkDearestRequest is the most processor time that rendering can cost for one request of a hundred items.
func BenchmarkDearestRequest(b *testing.B) {
	composer := &compose.Composer{}
	for b.Loop() {
		rendering := compose.NewRendering()
		for range 100 {
			_, _ = composer.Compose(b.Context(), compose.Sender{}, expensive(), rendering)
		}
	}
}
