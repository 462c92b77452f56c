package components

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/sending"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/webhook"
)

// LogFlags sets the level of the log.
type LogFlags struct {
	LogLevel *slog.Level `env:"MAILSTACK_LOG_LEVEL" placeholder:"LEVEL" help:"Log level: debug, info, warn or error. Default: info; for dev: warn."`
}

// JSONLogger returns the logger of production, which writes one JSON object per line.
func (flags LogFlags) JSONLogger(process *Process) *slog.Logger {
	return slog.New(slog.NewJSONHandler(process.Stderr, flags.options(slog.LevelInfo)))
}

// TextLogger returns the logger of dev, which writes text for a terminal.
func (flags LogFlags) TextLogger(process *Process) *slog.Logger {
	return slog.New(slog.NewTextHandler(process.Stderr, flags.options(slog.LevelWarn)))
}

func (flags LogFlags) options(level slog.Level) *slog.HandlerOptions {
	if flags.LogLevel != nil {
		level = *flags.LogLevel
	}
	return &slog.HandlerOptions{Level: level}
}

// DatabaseFlags sets the database.
type DatabaseFlags struct {
	DatabaseURL         string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"Postgres URL: postgres://user:password@host/database. Required."`
	DatabaseConnections int32  `env:"MAILSTACK_DATABASE_CONNECTIONS" default:"16" placeholder:"N" help:"Maximum connections per pool; the API and the workers of a process have one pool each. Default: 16."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags DatabaseFlags) Check() error {
	if flags.DatabaseURL == "" {
		return Usagef("no database URL: set DATABASE_URL (postgres://user:password@host/database)")
	}
	if flags.DatabaseConnections < 2 {
		return Usagef("MAILSTACK_DATABASE_CONNECTIONS is %d: at least 2 are needed", flags.DatabaseConnections)
	}
	return nil
}

// SESFlags sets how SES is used.
type SESFlags struct {
	ConfigurationSet string `env:"MAILSTACK_CONFIGURATION_SET" default:"mailstack" placeholder:"NAME" help:"SES configuration set for every send; created if missing. Default: mailstack."`
	IdentityLimit    int    `env:"MAILSTACK_SES_IDENTITY_LIMIT" default:"10000" placeholder:"N" help:"Identities that the SES account may have in the region. From nine tenths of it on, a domain gets its identity only once its ownership is proven. Default: 10000, as AWS documents."`
}

// DNSFlags sets the DNS resolver.
type DNSFlags struct {
	DNSServer string `name:"dns-server" env:"MAILSTACK_DNS_SERVER" placeholder:"HOST:PORT" help:"Recursive resolver for verifying domains. Default: the resolvers of /etc/resolv.conf."`
}

// minBodyBytes has room for a batch of 20 MiB in the half that one organization may hold.
const minBodyBytes = 40 << 20

// APIFlags sets the limits of the API.
type APIFlags struct {
	LimitFlags
	RateLimit         float64 `env:"MAILSTACK_RATE_LIMIT" default:"1000" placeholder:"N" help:"Maximum requests per second and API key, in this process; bursts may be twice as large; 0 disables the limit. Default: 1000."`
	AcceptGroup       int     `env:"MAILSTACK_ACCEPT_GROUP" default:"256" placeholder:"N" help:"Maximum messages per accept transaction (group commit); 1 gives every request its own transaction. Default: 256."`
	AcceptConcurrency int     `env:"MAILSTACK_ACCEPT_CONCURRENCY,MAILSTACK_ACCEPT_TRANSACTIONS" aliases:"accept-parallel" default:"1" placeholder:"N" help:"Maximum concurrent accept transactions. More make smaller groups, and block each other on the same organization. Default: 1."`
	AcceptQueueSize   int     `env:"MAILSTACK_ACCEPT_QUEUE_SIZE,MAILSTACK_ACCEPT_WAITING" aliases:"accept-waiting" default:"10000" placeholder:"N" help:"Maximum messages waiting to be accepted; beyond it a request gets 503 at once. Default: 10000."`
	MaxBodyBytes      int64   `env:"MAILSTACK_MAX_BODY_BYTES,MAILSTACK_MAX_BODIES" aliases:"max-bodies" default:"134217728" placeholder:"BYTES" help:"Maximum bytes of all request bodies in flight; beyond it a request gets 503. One organization holds at most half. An eighth is reserved for bodies up to 256 KiB. Default: 134217728."`
	MaxConnections    int     `env:"MAILSTACK_MAX_CONNECTIONS" default:"10000" placeholder:"N" help:"Maximum concurrent connections; further ones wait to be accepted. Default: 10000."`
	ValidateResponses bool    `env:"MAILSTACK_VALIDATE_RESPONSES" help:"Validate every response against openapi.yaml after it is written, and log violations."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags APIFlags) Check() error {
	if !(flags.RateLimit >= 0) {
		return Usagef("MAILSTACK_RATE_LIMIT is %v: it must be 0 or more", flags.RateLimit)
	}
	for name, value := range map[string]int{
		"MAILSTACK_ACCEPT_GROUP": flags.AcceptGroup, "MAILSTACK_ACCEPT_CONCURRENCY": flags.AcceptConcurrency,
		"MAILSTACK_ACCEPT_QUEUE_SIZE": flags.AcceptQueueSize, "MAILSTACK_MAX_CONNECTIONS": flags.MaxConnections,
	} {
		if value < 1 {
			return Usagef("%s is %d: at least 1 is needed", name, value)
		}
	}
	if flags.MaxBodyBytes < minBodyBytes {
		return Usagef("MAILSTACK_MAX_BODY_BYTES is %d: at least %d are needed, or the largest batch would never pass", flags.MaxBodyBytes, minBodyBytes)
	}
	return flags.LimitFlags.Check()
}

// EventsFlags sets the sources of SES events.
type EventsFlags struct {
	EventsTopics []string `env:"MAILSTACK_EVENTS_TOPICS" placeholder:"ARN,…" help:"SNS topics to which SES publishes events. Default: none; without a queue, statuses then stay at Sent. A worker needs none if serve receives events: it still waits for the events of attempts without a response."`
	EventsQueue  string   `env:"MAILSTACK_EVENTS_QUEUE" placeholder:"URL" help:"SQS queue from which the workers receive events, for installations without a public URL. Default: none."`
}

// Expected reports whether SES events are configured.
func (flags EventsFlags) Expected() bool {
	return len(flags.EventsTopics) > 0 || flags.EventsQueue != ""
}

// Check returns a [UsageError] if a setting is wrong.
func (flags EventsFlags) Check() error {
	for _, topic := range flags.EventsTopics {
		if sns.LoggableTopicARN(topic) != topic {
			return Usagef("MAILSTACK_EVENTS_TOPICS holds %q, which is not the ARN of a topic (arn:aws:sns:region:account:name)", topic)
		}
	}
	if flags.EventsQueue == "" {
		return nil
	}
	queue, err := url.Parse(flags.EventsQueue)
	if err != nil || queue.Scheme != "https" && queue.Scheme != "http" || queue.Host == "" || strings.Trim(queue.Path, "/") == "" {
		return Usagef("MAILSTACK_EVENTS_QUEUE is %q, which is not the URL of a queue (https://sqs.region.amazonaws.com/account/name)", flags.EventsQueue)
	}
	return nil
}

// EventsRouteFlags sets the route that receives SES events.
type EventsRouteFlags struct {
	EventsPath        string `env:"MAILSTACK_EVENTS_PATH" default:"/internal/ses/events" placeholder:"PATH" help:"Path to which SNS posts events, if topics are set. Default: /internal/ses/events."`
	EventsTrustedHost string `env:"MAILSTACK_EVENTS_TRUSTED_HOST" placeholder:"HOST:PORT" help:"Simulator whose events are trusted too; its certificate is fetched over plain http. For tests only. Default: none."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags EventsRouteFlags) Check() error {
	if !regexp.MustCompile(`^/internal(/[A-Za-z0-9_-]+)+$`).MatchString(flags.EventsPath) {
		return Usagef("MAILSTACK_EVENTS_PATH is %q: it must be a path below /internal/, of letters, digits, - and _", flags.EventsPath)
	}
	return nil
}

// WorkerFlags sets how much a worker sends at once, and how long messages are kept.
type WorkerFlags struct {
	ReputationFlags
	SendConcurrency  int       `env:"MAILSTACK_SEND_CONCURRENCY,MAILSTACK_SENDERS" aliases:"senders" default:"256" placeholder:"N" help:"Maximum messages in flight. Default: 256."`
	ContentRetention Retention `env:"MAILSTACK_CONTENT_RETENTION" default:"30d" placeholder:"TIME" help:"Retention of message bodies, rounded up to whole months, such as 30d or 720h. Default: 30d."`
	MessageRetention Retention `env:"MAILSTACK_MESSAGE_RETENTION" default:"400d" placeholder:"TIME" help:"Retention of messages without their bodies, rounded up to whole months. Default: 400d."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags WorkerFlags) Check() error {
	if flags.SendConcurrency < 1 {
		return Usagef("MAILSTACK_SEND_CONCURRENCY is %d: at least 1 is needed", flags.SendConcurrency)
	}
	if time.Duration(flags.ContentRetention) < sending.MaxMessageAge {
		return Usagef("MAILSTACK_CONTENT_RETENTION is %s: a message may wait to be sent for %s, and needs its body until then",
			time.Duration(flags.ContentRetention), sending.MaxMessageAge)
	}
	if flags.ContentRetention > flags.MessageRetention {
		return Usagef("MAILSTACK_CONTENT_RETENTION is longer than MAILSTACK_MESSAGE_RETENTION: bodies cannot outlive their messages")
	}
	return flags.ReputationFlags.Check()
}

// WebhookFlags sets where webhooks may be posted.
type WebhookFlags struct {
	WebhookPrefixes string `env:"MAILSTACK_WEBHOOK_PREFIXES" placeholder:"NETWORKS" help:"Networks that are not globally routable but allowed for webhooks, such as 10.1.0.0/16, separated by commas. Default: none."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags WebhookFlags) Check() error {
	if _, err := webhook.ParsePrefixes(flags.WebhookPrefixes); err != nil {
		return Usagef("MAILSTACK_WEBHOOK_PREFIXES: %w", err)
	}
	return nil
}

// Policy returns the policy for webhooks. Check must have succeeded.
func (flags WebhookFlags) Policy() webhook.Policy {
	prefixes, _ := webhook.ParsePrefixes(flags.WebhookPrefixes)
	return webhook.Policy{Prefixes: prefixes}
}

// LameDuckFlags say how a process that serves HTTP takes its leave.
type LameDuckFlags struct {
	LameDuck time.Duration `env:"MAILSTACK_LAME_DUCK" default:"5s" placeholder:"TIME" help:"Time between failing /readyz and closing the port, in which everything is still answered; a part of the drain timeout. 0: none. Default: 5s."`
}

// Check wants the lame-duck time to leave something of the drain timeout.
func (flags LameDuckFlags) Check(drain time.Duration) error {
	if flags.LameDuck < 0 || flags.LameDuck >= drain {
		return Usagef("MAILSTACK_LAME_DUCK is %s: it must be at least 0 and shorter than MAILSTACK_DRAIN_TIMEOUT (%s)", flags.LameDuck, drain)
	}
	return nil
}

// DrainFlags say how long a process that was told to stop goes on.
type DrainFlags struct {
	DrainTimeout time.Duration `env:"MAILSTACK_DRAIN_TIMEOUT" default:"25s" placeholder:"TIME" help:"Maximum time to finish work in flight after SIGTERM. Wait 5 seconds longer before killing the process. Default: 25s."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags DrainFlags) Check() error {
	if flags.DrainTimeout <= 0 {
		return Usagef("MAILSTACK_DRAIN_TIMEOUT is %s: it must be above 0", flags.DrainTimeout)
	}
	return nil
}

// Retention is a duration that may be given in days, a unit that Go's durations lack.
type Retention time.Duration

// UnmarshalText reads 30d, or a Go duration of at least an hour.
func (r *Retention) UnmarshalText(text []byte) error {
	given := string(text)
	length, err := time.ParseDuration(given)
	if days, found := strings.CutSuffix(given, "d"); found {
		var n uint16
		n, err = parseDays(days)
		length = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || length < time.Hour {
		return fmt.Errorf("%q is not a duration of at least an hour, such as 30d or 720h", given)
	}
	*r = Retention(length)
	return nil
}

func parseDays(text string) (uint16, error) {
	days, err := strconv.ParseUint(text, 10, 16)
	return uint16(days), err
}
