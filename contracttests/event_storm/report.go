package main

import (
	"encoding/json"
	"math/rand/v2"
	"sync"

	"github.com/google/uuid"
)

const messageTag = "mailstack-message-id"

// report adds an event as SES writes it. An untagged one can only be matched by SES's message id.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
func (m *message) report(eventType, member string, detail map[string]any, untagged bool) {
	tags := map[string][]string{"ses:configuration-set": {"mailstack"}}
	if !untagged {
		tags[messageTag] = []string{m.id}
	}
	// Maps of strings, lists and maps always encode.
	event, _ := json.Marshal(map[string]any{
		"eventType": eventType, member: detail,
		"mail": map[string]any{
			"timestamp": stamp(m.sentAt), "messageId": m.providerID, "source": sender, "destination": m.recipients, "tags": tags,
		},
	})
	m.events = append(m.events, string(event))
}

// notification is a message of SNS, which is signed once and may be posted several times.
type notification struct {
	id, event string
	signed    func() ([]byte, error)
}

// post is one attempt of SNS to deliver a notification.
type post struct {
	what *notification
	// first is the index of the process to try first.
	first int
}

// plannedPosts has every event posted, many of them again under the same or another MessageId, in random order.
// published is the number of events.
func plannedPosts(random *rand.Rand, messages []*message) (posts []post, published int) {
	for _, one := range messages {
		for _, event := range one.events {
			published++
			notice := newNotification(event)
			posts = append(posts, post{notice, random.IntN(processes)})
			for range random.IntN(2) {
				posts = append(posts, post{notice, random.IntN(processes)})
			}
			if random.IntN(3) == 0 {
				posts = append(posts, post{newNotification(event), random.IntN(processes)})
			}
		}
	}
	random.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
	return posts, published
}

func newNotification(event string) *notification {
	return &notification{id: uuid.NewString(), event: event}
}

// prepare has the notification signed by its first post.
func (n *notification) prepare(t *topic) {
	n.signed = sync.OnceValues(func() ([]byte, error) { return t.sign(n) })
}
