package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	// mostPages bounds the pages read to reach a last page.
	mostPages = 40
	// warmUp is the number of requests for a page before the measured ones: Postgres decides about a plan after
	// five executions, on each connection.
	warmUp = 20
)

// page is the response to a list request.
type page struct {
	Data       []json.RawMessage
	NextCursor *string
	took       time.Duration
}

// findLastPages finds the last page of the lists that have one by now, unless it is known.
func (d *database) findLastPages(ctx context.Context, cases []listCase) error {
	for _, asked := range cases {
		if _, known := d.last[asked.title]; known {
			continue
		}
		cursor, found, err := d.lastPage(ctx, asked)
		if err != nil {
			return fmt.Errorf("%s: %w", asked.title, err)
		}
		if found {
			d.last[asked.title] = cursor
		}
	}
	return nil
}

func (d *database) lastPage(ctx context.Context, asked listCase) (cursor string, found bool, err error) {
	for range mostPages {
		got, err := d.ask(ctx, asked, cursor)
		if err != nil {
			return "", false, err
		}
		if got.NextCursor == nil {
			return cursor, len(got.Data) > 0, nil
		}
		cursor = *got.NextCursor
	}
	return "", false, fmt.Errorf("the last page is not among the first %d", mostPages)
}

// ask requests a page and measures the time until all of it has arrived.
func (d *database) ask(ctx context.Context, asked listCase, cursor string) (got page, err error) {
	query := url.Values{"limit": {strconv.Itoa(asked.limit)}}
	maps.Copy(query, asked.filters)
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.server.URL+asked.path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return got, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+d.key.Reveal())
	began := time.Now()
	response, err := d.server.Client().Do(request)
	if err != nil {
		return got, fmt.Errorf("send the request: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	got.took = time.Since(began)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return got, fmt.Errorf("read the response: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return got, fmt.Errorf("%s: %s", response.Status, body)
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return got, fmt.Errorf("read the response: %w", err)
	}
	return got, nil
}

// times holds lower quartiles, in milliseconds.
type times struct{ first, last, fewFirst, fewLast float64 }

// worst returns the highest of the limited ratios.
func (t times) worst() float64 {
	return max(t.last/t.first, t.first/t.fewFirst, t.last/t.fewLast)
}

// measure requests the four pages in turn. Each turn begins with another page.
func measure(ctx context.Context, repetitions int, few, many *database, asked listCase) (times, error) {
	pages := []struct {
		from   *database
		cursor string
	}{{many, ""}, {many, many.last[asked.title]}, {few, ""}, {few, few.last[asked.title]}}
	var took [4][]float64
	var length [4]int
	for turn := range warmUp + repetitions {
		for k := range pages {
			i := (turn + k) % len(pages)
			got, err := pages[i].from.ask(ctx, asked, pages[i].cursor)
			if err != nil {
				return times{}, err
			}
			length[i] = len(got.Data)
			if last := i%2 == 1; last && got.NextCursor != nil {
				return times{}, errors.New("the last page is followed by another")
			}
			if turn >= warmUp {
				took[i] = append(took[i], float64(got.took.Microseconds())/1000)
			}
		}
	}
	if length[0] == 0 || slices.Min(length[:]) != slices.Max(length[:]) {
		return times{}, fmt.Errorf("the pages have different lengths: %v", length)
	}
	return times{first: quartile(took[0]), last: quartile(took[1]), fewFirst: quartile(took[2]), fewLast: quartile(took[3])}, nil
}

// quartile returns the lower quartile, which is the cost of the page; the median would include other load on the
// machine.
func quartile(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/4]
}
