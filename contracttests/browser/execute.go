package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/chromedp/chromedp"
)

// sent is what became of one form.
type sent struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
	// Placeholder reports that the path has an id or address that the document made up.
	Placeholder bool `json:"-"`
}

// enterKey enters the key into the first form; the page hands it to the others.
const enterKey = `(() => {
  const key = document.querySelector(".key");
  key.value = %q;
  key.dispatchEvent(new Event("input"));
})()`

// report tells what a form shows after it is sent, once it does.
const report = `(() => {
  const article = document.getElementById(%q);
  const result = article.querySelector(".result");
  return result.dataset.status ? { status: Number(result.dataset.status), text: result.innerText } : null;
})()`

// executeAll fills in the key and sends every form of the reference as it is filled in.
func executeAll(tab context.Context, set settings) error {
	if err := chromedp.Do(tab, chromedp.Navigate(set.url+"/docs/")); err != nil {
		return fmt.Errorf("open the reference: %w", err)
	}
	ids, err := chromedp.Run(tab, chromedp.Evaluate[[]string](`[...document.querySelectorAll("article")].map((article) => article.id)`))
	if err != nil {
		return fmt.Errorf("read the reference: %w", err)
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(enterKey, set.key))); err != nil {
		return fmt.Errorf("enter the key: %w", err)
	}
	ok, placeholder, failed := 0, 0, 0
	for _, id := range ids {
		result, err := execute(tab, id)
		if err != nil {
			return err
		}
		switch {
		case result.Status/100 == 2:
			ok++
		case result.Status == 404 && result.Placeholder:
			placeholder++
		default:
			failed++
			_, _ = fmt.Fprintf(set.out, "%s: %s\n", id, strings.Join(strings.Fields(result.Text), " "))
		}
	}
	_, err = fmt.Fprintf(set.out, "executed=%d ok=%d placeholder=%d failed=%d\n", len(ids), ok, placeholder, failed)
	if failed > 0 || len(ids) == 0 {
		return fmt.Errorf("%d of %d operations failed as they are filled in", failed, len(ids))
	}
	return err
}

// execute follows the operation's link, opens its form, and presses its button.
func execute(tab context.Context, id string) (sent, error) {
	article := "#" + id
	err := chromedp.Do(tab,
		chromedp.Click(chromedp.CSS(`nav [data-operation="`+id+`"]`)), chromedp.Click(chromedp.CSS(article+" .try > summary")),
	)
	if err != nil {
		return sent{}, fmt.Errorf("open the form of %s: %w", id, err)
	}
	made, err := chromedp.Run(tab, chromedp.Evaluate[bool](fmt.Sprintf(
		`[...document.querySelectorAll("#%s input[data-in=path]")].some((input) => input.value === input.dataset.example)`, id)))
	if err != nil {
		return sent{}, fmt.Errorf("read the form of %s: %w", id, err)
	}
	if err := chromedp.Do(tab, chromedp.Click(chromedp.CSS(article+" .try button.first"))); err != nil {
		return sent{}, fmt.Errorf("send the form of %s: %w", id, err)
	}
	result, err := chromedp.Run(tab, chromedp.Poll[sent](fmt.Sprintf(report, id)))
	if err != nil {
		return sent{}, fmt.Errorf("await the answer to %s: %w", id, err)
	}
	result.Placeholder = made
	return result, nil
}
