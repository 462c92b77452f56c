package components

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/webhook"
)

type LogFlags struct {
	LogLevel *slog.Level `env:"MAILSTACK_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error. Default: info; for dev: warn."`
}

// JSONLogger is the log of production, a JSON object per line.
func (flags LogFlags) JSONLogger(process *Process) *slog.Logger {
	return slog.New(slog.NewJSONHandler(process.Stderr, flags.options(slog.LevelInfo)))
}

// TextLogger is the log of dev, for people who read a terminal.
func (flags LogFlags) TextLogger(process *Process) *slog.Logger {
	return slog.New(slog.NewTextHandler(process.Stderr, flags.options(slog.LevelWarn)))
}

func (flags LogFlags) options(level slog.Level) *slog.HandlerOptions {
	if flags.LogLevel != nil {
		level = *flags.LogLevel
	}
	return &slog.HandlerOptions{Level: level}
}

type DatabaseFlags struct {
	DatabaseURL         string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"Postgres: postgres://user:password@host/database. Required."`
	DatabaseConnections int32  `env:"MAILSTACK_DATABASE_CONNECTIONS" default:"16" placeholder:"N" help:"Connections in a pool; the API and the workers of a process have a pool each. Default: 16."`
}

func (flags DatabaseFlags) Check() error {
	if flags.DatabaseURL == "" {
		return Usagef("no database is named: set DATABASE_URL (postgres://user:password@host/database)")
	}
	if flags.DatabaseConnections < 2 {
		return Usagef("MAILSTACK_DATABASE_CONNECTIONS is %d: at least 2 are needed", flags.DatabaseConnections)
	}
	return nil
}

type SESFlags struct {
	ConfigurationSet string `env:"MAILSTACK_CONFIGURATION_SET" default:"mailstack" placeholder:"NAME" help:"SES configuration set of every send; created when missing. Default: mailstack."`
}

type DNSFlags struct {
	DNSServer string `name:"dns-server" env:"MAILSTACK_DNS_SERVER" placeholder:"HOST:PORT" help:"Recursive resolver for looking domains up. Default: those of /etc/resolv.conf."`
}

// minBodyBytes leaves room for a batch of 20 MiB, beside what is kept for small bodies.
const minBodyBytes = 32 << 20

type APIFlags struct {
	RateLimit         float64 `env:"MAILSTACK_RATE_LIMIT" default:"1000" placeholder:"N" help:"Requests per second and API key, in this process, with bursts of twice as many; 0 is no limit. Default: 1000."`
	AcceptGroup       int     `env:"MAILSTACK_ACCEPT_GROUP" default:"256" placeholder:"N" help:"The most messages that requests which arrive together are accepted with in one transaction; 1 gives every request its own. Default: 256."`
	AcceptConcurrency int     `env:"MAILSTACK_ACCEPT_CONCURRENCY,MAILSTACK_ACCEPT_TRANSACTIONS" aliases:"accept-parallel" default:"1" placeholder:"N" help:"Accepting transactions at once. More of them make smaller groups, and wait for each other's organizations. Default: 1."`
	AcceptQueueSize   int     `env:"MAILSTACK_ACCEPT_QUEUE_SIZE,MAILSTACK_ACCEPT_WAITING" aliases:"accept-waiting" default:"10000" placeholder:"N" help:"Messages that may wait to be accepted; beyond them the answer is 503 at once. Default: 10000."`
	MaxBodyBytes      int64   `env:"MAILSTACK_MAX_BODY_BYTES,MAILSTACK_MAX_BODIES" aliases:"max-bodies" default:"134217728" placeholder:"BYTES" help:"Bytes that the bodies of requests under way may take up together; beyond them the answer is 503 before a body is read. An eighth is kept for those up to 256 KiB. Default: 134217728."`
	MaxConnections    int     `env:"MAILSTACK_MAX_CONNECTIONS" default:"10000" placeholder:"N" help:"Connections at once; further ones wait to be taken. Default: 10000."`
	ValidateResponses bool    `env:"MAILSTACK_VALIDATE_RESPONSES" help:"Hold every answer against openapi.yaml once it is written, and log those that break it."`
}

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
	return nil
}

// EventsFlags say whether SES reports what becomes of the mail.
type EventsFlags struct {
	EventsTopics []string `env:"MAILSTACK_EVENTS_TOPICS" placeholder:"ARN,…" help:"SNS topics to which SES publishes events. Default: none; without a queue statuses then stay at Sent. A worker needs none where serve receives events: it waits for those of attempts without an answer all the same."`
	EventsQueue  string   `env:"MAILSTACK_EVENTS_QUEUE" placeholder:"URL" help:"SQS queue out of which the workers take events, where there is no public URL. Default: none."`
}

// Expected tells whether SES is to report anything.
func (flags EventsFlags) Expected() bool {
	return len(flags.EventsTopics) > 0 || flags.EventsQueue != ""
}

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

// EventsRouteFlags say where they are received.
type EventsRouteFlags struct {
	EventsPath        string `env:"MAILSTACK_EVENTS_PATH" default:"/internal/ses/events" placeholder:"PATH" help:"Where SNS posts events, with topics set. Default: /internal/ses/events."`
	EventsTrustedHost string `env:"MAILSTACK_EVENTS_TRUSTED_HOST" placeholder:"HOST:PORT" help:"A simulator whose events count too, signed by it over plain http. For tests only. Default: none."`
}

func (flags EventsRouteFlags) Check() error {
	if !regexp.MustCompile(`^/internal(/[A-Za-z0-9_-]+)+$`).MatchString(flags.EventsPath) {
		return Usagef("MAILSTACK_EVENTS_PATH is %q: it must be a path below /internal/, of letters, digits, - and _", flags.EventsPath)
	}
	return nil
}

type WorkerFlags struct {
	SendConcurrency  int       `env:"MAILSTACK_SEND_CONCURRENCY,MAILSTACK_SENDERS" aliases:"senders" default:"64" placeholder:"N" help:"Messages in hand at once. Default: 64."`
	ContentRetention Retention `env:"MAILSTACK_CONTENT_RETENTION" default:"30d" placeholder:"TIME" help:"How long bodies are kept, rounded up to whole months, as 30d or 720h. Default: 30d."`
	MessageRetention Retention `env:"MAILSTACK_MESSAGE_RETENTION" default:"400d" placeholder:"TIME" help:"How long messages are kept, without their bodies, likewise. Default: 400d."`
}

func (flags WorkerFlags) Check() error {
	if flags.SendConcurrency < 1 {
		return Usagef("MAILSTACK_SEND_CONCURRENCY is %d: at least 1 is needed", flags.SendConcurrency)
	}
	if flags.ContentRetention > flags.MessageRetention {
		return Usagef("MAILSTACK_CONTENT_RETENTION is longer than MAILSTACK_MESSAGE_RETENTION: bodies cannot outlive their messages")
	}
	return nil
}

type WebhookFlags struct {
	WebhookPrefixes string `env:"MAILSTACK_WEBHOOK_PREFIXES" placeholder:"NETWORKS" help:"Networks such as 10.1.0.0/16, separated by commas, that webhooks may be posted to although they are not globally routable. Default: none."`
}

func (flags WebhookFlags) Check() error {
	if _, err := webhook.ParsePrefixes(flags.WebhookPrefixes); err != nil {
		return Usagef("MAILSTACK_WEBHOOK_PREFIXES: %w", err)
	}
	return nil
}

// Policy is what check has found to be right.
func (flags WebhookFlags) Policy() webhook.Policy {
	prefixes, _ := webhook.ParsePrefixes(flags.WebhookPrefixes)
	return webhook.Policy{Prefixes: prefixes}
}

type DrainFlags struct {
	DrainTimeout time.Duration `env:"MAILSTACK_DRAIN_TIMEOUT" default:"25s" placeholder:"TIME" help:"How long a process that was told to stop goes on with what is under way. Whoever stops it has to wait 5 seconds longer. Default: 25s."`
}

func (flags DrainFlags) Check() error {
	if flags.DrainTimeout <= 0 {
		return Usagef("MAILSTACK_DRAIN_TIMEOUT is %s: it must be longer than nothing", flags.DrainTimeout)
	}
	return nil
}

// Retention is a time that may be given in days, which Go's durations do not know.
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
		return fmt.Errorf("%q is not a time such as 30d or 720h, of an hour at least", given)
	}
	*r = Retention(length)
	return nil
}

func parseDays(text string) (uint16, error) {
	days, err := strconv.ParseUint(text, 10, 16)
	return uint16(days), err
}
