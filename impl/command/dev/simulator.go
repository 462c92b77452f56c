package dev

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/sessim"
)

// simulatorDrain bounds how long calls in flight may take after the simulator is told to stop.
const simulatorDrain = 5 * time.Second

// Simulator is "mailstack simulator".
type Simulator struct {
	Addr           string  `env:"MAILSTACK_SIMULATOR_ADDR" default:"127.0.0.1:8579" placeholder:"HOST:PORT" help:"Listen address. Default: 127.0.0.1:8579."`
	Journal        string  `placeholder:"FILE" help:"File that keeps identities and mail across restarts. Default: none, a restart loses them."`
	MaxPerSecond   float64 `placeholder:"N" help:"Sending rate of the account, in recipients per second. Default: 100000."`
	Max24Hour      float64 `name:"max-24-hour" placeholder:"N" help:"Daily quota of the account, in recipients; -1 is unlimited. Default: unlimited."`
	DNSServer      string  `name:"dns-server" env:"MAILSTACK_DNS_SERVER" placeholder:"HOST:PORT" help:"Resolver for verifying identities. Default: none, every identity is verified at once."`
	EventsURL      string  `name:"events-url" placeholder:"URL" help:"URL to which events are posted in the form of SNS. Default: none, no events."`
	EventsTopic    string  `default:"arn:aws:sns:us-east-1:000000000000:mailstack" placeholder:"ARN" help:"ARN of the topic that events name. Default: arn:aws:sns:us-east-1:000000000000:mailstack."`
	DeliverAll     bool    `help:"Report every message as delivered, not only those to success@simulator.amazonses.com."`
	SigningKeyBits int     `name:"signing-key-bits" default:"2048" placeholder:"N" help:"Length of the RSA key that signs events; 0 leaves them unsigned, as readers of a queue do not check that. SNS has 2048 bits; a shorter key leaves more of the processor to what is measured."`
	components.LogFlags
}

// Help is shown by --help.
func (*Simulator) Help() string {
	return `Speaks the protocols of the Amazon SES API v2, and of SNS, SQS and STS as far as SES events need them. It is for tests and benchmarks in which the simulator must outlive the other processes. Use it with AWS_ENDPOINT_URL=http://127.0.0.1:8579, AWS_REGION and any AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. /dev/inbox shows the mail it received; faults, account and counts are at /_sim/. With --events-url it posts SES events, signed with its own key: give the server MAILSTACK_EVENTS_TOPICS, and the host of the simulator as MAILSTACK_EVENTS_TRUSTED_HOST.`
}

// Run serves until ctx ends.
func (c *Simulator) Run(ctx context.Context, process *components.Process) (err error) {
	log := c.JSONLogger(process)
	listener, err := components.Listen(ctx, c.Addr, "MAILSTACK_SIMULATOR_ADDR")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, components.IgnoreClosed(listener.Close)()) }()
	if c.SigningKeyBits == 0 {
		c.SigningKeyBits = -1
	}
	config := sessim.Config{
		Journal: c.Journal, MaxPerSecond: c.MaxPerSecond, Max24Hour: c.Max24Hour, DeliverAll: c.DeliverAll, SigningKeyBits: c.SigningKeyBits,
		Now: process.Now, Random: process.Random, Log: log,
	}
	if c.DNSServer != "" {
		resolver, err := dns.New(dns.Config{Server: c.DNSServer, Log: log})
		if err != nil {
			return components.Usagef("MAILSTACK_DNS_SERVER: %w", err)
		}
		config.Resolver = resolver
	}
	simulator, err := sessim.New(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, simulator.Close()) }()
	if c.EventsURL != "" {
		events := sessim.Events{URL: c.EventsURL, TopicARN: c.EventsTopic, Own: components.BaseURL(listener)}
		if err := simulator.Publish(events); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", simulator)
	mux.Handle("/dev/", simulator.Inbox())
	log.InfoContext(ctx, "simulating Amazon SES", slog.String("url", components.BaseURL(listener)))
	return components.ServeHTTP(ctx, components.NewHTTPServer(mux, log), listener, simulator.ClearFaults, simulatorDrain)
}
