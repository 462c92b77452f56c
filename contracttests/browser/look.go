package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// height is a phone's.
const height = 844

func widths() []int64 { return []int64{390, 1280} }

func schemes() []string { return []string{"light", "dark"} }

// looker checks pages and keeps what fails.
type looker struct {
	tab    context.Context //nolint:containedctx // a tab of the browser is a context
	set    settings
	axe    string
	checks int
	failed []string

	mu sync.Mutex
	// requests are those to other hosts since the page was opened, by their ids, errors what it logged.
	requests map[network.RequestID]string
	errors   []string
}

func newLooker(tab context.Context, set settings, axe string) *looker {
	return &looker{tab: tab, set: set, axe: axe, requests: map[network.RequestID]string{}}
}

// open starts the browser and listens to what its tab asks for and logs.
func (l *looker) open() error {
	own, err := url.Parse(l.set.url)
	if err != nil {
		return fmt.Errorf("read MAILSTACK_URL: %w", err)
	}
	listen := func(event any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			asked, err := url.Parse(event.Request.URL)
			if err != nil || asked.Scheme != "data" && asked.Host != own.Host {
				l.requests[event.RequestID] = event.Request.URL
			}
		case *network.EventLoadingFailed:
			// The page's policy refused it before it was sent.
			if event.BlockedReason == network.BlockedReasonCsp {
				delete(l.requests, event.RequestID)
			}
		case *runtime.EventExceptionThrown:
			l.errors = append(l.errors, event.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if event.Type == runtime.ConsoleAPICalledTypeError {
				l.errors = append(l.errors, string(event.Args[0].Value))
			}
		case *log.EventEntryAdded:
			// What a mail reaches for is the mail's error, and is refused.
			if event.Entry.Level == log.EntryLevelError && !strings.HasSuffix(event.Entry.URL, "/html") {
				l.errors = append(l.errors, event.Entry.Text)
			}
		}
	}
	if err := chromedp.Listen(l.tab, listen); err != nil {
		return fmt.Errorf("start the browser: %w", err)
	}
	_, asked := chromedp.Call(l.tab, network.Enable, network.EnableParams{})
	_, logged := chromedp.Call(l.tab, log.Enable, cdp.Empty{})
	_, ran := chromedp.Call(l.tab, runtime.Enable, cdp.Empty{})
	return errors.Join(asked, logged, ran)
}

// at checks pages at every width, in every scheme.
func (l *looker) at(tab context.Context, paths []string) error {
	for _, path := range paths {
		for _, width := range widths() {
			for _, scheme := range schemes() {
				if err := l.once(tab, path, width, scheme); err != nil {
					return fmt.Errorf("%s at %d in %s: %w", path, width, scheme, err)
				}
			}
		}
	}
	return nil
}

// found is what a page says of itself.
type found struct {
	Width    int       `json:"width"`
	Heading  int       `json:"heading"`
	Findings []finding `json:"findings"`
}

type finding struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Nodes  []string `json:"nodes"`
}

// examine opens what is folded, measures, and lets axe look. The reference has thousands of folded elements of few kinds:
// axe sees the folded elements of the first operations open.
const examine = `(async () => {
  const all = [...document.querySelectorAll("details")];
  for (const folded of all) folded.open = true;
  const width = document.documentElement.scrollWidth;
  for (const folded of all.slice(60)) folded.open = false;
  const result = await axe.run(document, { resultTypes: ["violations"], iframes: false });
  return {
    width, heading: document.querySelectorAll("h1").length,
    findings: result.violations.filter((one) => one.impact === "serious" || one.impact === "critical")
      .map((one) => ({ id: one.id, impact: one.impact, nodes: one.nodes.slice(0, 5).map((node) => node.target.join(" ")) })),
  };
})()`

func (l *looker) once(tab context.Context, path string, width int64, scheme string) error {
	l.mu.Lock()
	l.requests, l.errors = map[network.RequestID]string{}, nil
	l.mu.Unlock()
	if err := l.show(tab, path, width, scheme); err != nil {
		return err
	}
	var picture []byte
	if l.set.screenshots != "" {
		var err error
		if picture, err = chromedp.Run(tab, chromedp.CaptureScreenshot()); err != nil {
			return fmt.Errorf("take a picture: %w", err)
		}
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[chromedp.Void](l.axe)); err != nil {
		return fmt.Errorf("load axe: %w", err)
	}
	told, err := chromedp.Run(tab, chromedp.Evaluate[found](examine, chromedp.EvalAwaitPromise))
	if err != nil {
		return fmt.Errorf("look: %w", err)
	}
	l.mu.Lock()
	requests, logged := slices.Collect(maps.Values(l.requests)), slices.Clone(l.errors)
	l.mu.Unlock()
	where := fmt.Sprintf("%s at %d in %s", path, width, scheme)
	l.check(len(requests) == 0, "%s: asks another host: %q", where, requests)
	l.check(len(logged) == 0, "%s: logs errors: %q", where, logged)
	l.check(told.Width <= int(width) && told.Heading == 1, "%s: is %d wide, with %d first headings", where, told.Width, told.Heading)
	l.check(len(told.Findings) == 0, "%s: axe finds %v", where, told.Findings)
	return l.keep(picture, path, width, scheme)
}

// show opens a page.
func (l *looker) show(tab context.Context, path string, width int64, scheme string) error {
	_, err := chromedp.Call(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	if err != nil {
		return fmt.Errorf("set the width: %w", err)
	}
	_, err = chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		return fmt.Errorf("set the scheme: %w", err)
	}
	if err := chromedp.Do(tab, chromedp.Navigate(l.set.url+path)); err != nil {
		return fmt.Errorf("open the page: %w", err)
	}
	return nil
}

func (l *looker) check(holds bool, format string, args ...any) {
	l.checks++
	if !holds {
		l.failed = append(l.failed, fmt.Sprintf(format, args...))
		_, _ = fmt.Fprintln(l.set.out, l.failed[len(l.failed)-1])
	}
}

func (l *looker) keep(picture []byte, path string, width int64, scheme string) error {
	if picture == nil {
		return nil
	}
	name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(path), "-")
	if err := os.WriteFile(filepath.Join(l.set.screenshots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o600); err != nil {
		return fmt.Errorf("keep a picture: %w", err)
	}
	return nil
}
