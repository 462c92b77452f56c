package main

import (
	"context"
	"time"
)

// assault is an attack: prepare makes what it needs, before anything is measured.
type assault struct {
	name    string
	prepare func(context.Context, *attacker) (strike, error)
}

const (
	mebibyte = 1 << 20
	// flood is the number of connections that send requests as fast as they are answered.
	flood = 32
)

// attacks returns all attacks, in the order in which they run.
func attacks() []assault {
	return []assault{
		{"declared bodies", declaredBodies},
		{"slow bodies", slowBodies},
		{"stopped bodies", stoppedBodies},
		{"unfinished headers", unfinishedHeaders},
		{"idle connections", idleConnections},
		{"unknown keys", unknownKeys},
		{"sends", floodOfSends},
		{"batches", floodOfBatches},
		{"rejected batches", floodOfRejectedBatches},
		{"idempotency keys", floodOfIdempotencyKeys},
		{"templates", dearTemplates},
		{"large messages", largeMessages},
		{"reads", floodOfReads},
		{"dear lists", dearLists},
		{"locked usage row", lockedUsage},
		{"domain checks", floodOfVerifications},
		{"backlog", backlog},
		{"suspended backlog", suspendedBacklog},
		{"refused domain", refusedDomain},
		{"hanging webhooks", hangingWebhooks(time.Hour)},
		{"slow webhooks", hangingWebhooks(14 * time.Second)},
		{"replayed deliveries", replayedDeliveries},
	}
}
