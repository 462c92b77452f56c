// Command browser looks at every page of a running `mailstack dev` in Chromium, as a reader on a phone and at a desk does,
// in light and in dark. It prints
//
//	pages=… widths=… schemes=… checks=… failed=…
//	executed=… ok=… placeholder=… failed=…
//
// and exits with 1 when a check fails. The checks of a page: it asks no other host for anything, logs no error, is no wider
// than the window, and axe finds nothing serious. Then each operation of the reference is sent as its form is filled in;
// only a placeholder's id may be unknown.
//
// The files:
//
//   - main.go: settings, the course of a run, the printed lines
//   - pages.go: the pages that there are, and mail for the inbox
//   - look.go: the checks of one page
//   - execute.go: the forms of the reference
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/voostack/mailstack/contracttests/harness"
)

type settings struct {
	url, key    string
	chromium    string
	axe         string
	screenshots string
	only        string
	out         io.Writer
}

func main() {
	set := settings{out: os.Stdout, url: os.Getenv("MAILSTACK_URL"), key: os.Getenv("MAILSTACK_API_KEY")}
	flag.StringVar(&set.chromium, "chromium", "chromium", "the browser")
	flag.StringVar(&set.axe, "axe", "", "the file axe.min.js")
	flag.StringVar(&set.screenshots, "screenshots", "", "a folder for pictures of all pages; none if empty")
	flag.StringVar(&set.only, "only", "", "look only at pages whose path has this in it")
	limit := flag.Duration("limit", 20*time.Minute, "time for everything")
	flag.Parse()
	harness.Main("browser", *limit, func(ctx context.Context) error { return run(ctx, set) })
}

func run(ctx context.Context, set settings) error {
	axe, err := os.ReadFile(set.axe)
	if err != nil {
		return fmt.Errorf("read axe: %w", err)
	}
	if set.screenshots != "" {
		if err := os.MkdirAll(set.screenshots, 0o755); err != nil {
			return fmt.Errorf("make the folder of pictures: %w", err)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(set.chromium), chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		// Nothing leaves this machine, also where a page would ask for it.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		// The frame of a mail reports its requests together with the requests of its page.
		chromedp.Flag("disable-features", "IsolateSandboxedIframes,Translate"),
	)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	tab, closeTab := chromedp.NewContext(ctx)
	defer closeTab()
	look := newLooker(tab, set, string(axe))
	if err := look.open(); err != nil {
		return err
	}
	return errors.Join(lookAtPages(tab, look), executeAll(tab, set))
}

func lookAtPages(tab context.Context, look *looker) error {
	empty := []string{"/dev/inbox"}
	if err := look.at(tab, empty); err != nil {
		return err
	}
	messages, err := sendMail(tab, look.set)
	if err != nil {
		return err
	}
	paths, err := allPages(tab, look.set, messages)
	if err != nil {
		return err
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return !strings.Contains(path, look.set.only) })
	if err := look.at(tab, paths); err != nil {
		return err
	}
	_, err = fmt.Fprintf(look.set.out, "pages=%d widths=%d schemes=%d checks=%d failed=%d\n",
		len(paths)+len(empty), len(widths()), len(schemes()), look.checks, len(look.failed))
	if len(look.failed) > 0 {
		err = fmt.Errorf("%d checks of pages failed", len(look.failed))
	}
	return err
}
