// Package command is the command line of mailstack: it parses flags and environment variables, and runs the command
// that they name.
//
//   - command.go: the commands, [Run], exit codes
//   - serve.go, worker.go, migrate.go: production; doctor.go: checking an installation step by step
//
// The other commands are in packages below it: dev (everything on this machine, and the simulated SES alone), operator
// (organizations, keys, billing, the secret key) and aws (the commands "mailstack ses"). The tests here run whole commands.
package command

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/command/aws"
	"github.com/voostack/mailstack/impl/command/dev"
	"github.com/voostack/mailstack/impl/command/operator"
	"github.com/voostack/mailstack/impl/components"
)

// The exit codes of the process.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the arguments or the environment are wrong; nothing was started
)

const description = `A transactional email API server: one binary, Postgres, and Amazon SES.

Try it on this machine, without an AWS account: "mailstack dev". In production: "mailstack migrate", then "mailstack serve", ` +
	`and "mailstack org create" and "mailstack key create" for the first API key; "mailstack ses setup" sets up AWS, and "mailstack doctor" checks the installation.

A flag whose help names a variable can also be set by that variable; a flag on the command line takes precedence. ` +
	`AWS region, endpoint and credentials are resolved as by every AWS SDK (AWS_REGION, AWS_ENDPOINT_URL, AWS_PROFILE, roles).

Exit codes: 0 done, 1 failed, 2 wrong arguments or environment.`

// Process is the environment of a command: arguments, output, clock and randomness.
type Process = components.Process

type grammar struct {
	Dev       dev.Command            `cmd:"" help:"Run everything on this machine: API, workers, Postgres, a simulated SES."`
	Serve     serveCommand           `cmd:"" help:"Serve the API and send mail."`
	Worker    workerCommand          `cmd:"" help:"Send mail without serving the API."`
	Migrate   migrateCommand         `cmd:"" help:"Migrate the database schema to the version of this binary."`
	Org       operator.Organizations `cmd:"" help:"Create, list, show, limit, suspend and resume organizations."`
	Key       operator.Keys          `cmd:"" help:"Create, list and revoke API keys."`
	Billing   operator.Billing       `cmd:"" help:"Set payment method, spend cap, allowance and price of an organization."`
	SecretKey operator.SecretKey     `cmd:"" help:"Encrypt stored secrets anew under a new secret key."`
	Ses       aws.Command            `cmd:"" help:"Set up SES event publishing in AWS, and print IAM policies."`
	Doctor    doctorCommand          `cmd:"" help:"Check the installation from the database to an SES event, and say what to fix."`
	Simulator dev.Simulator          `cmd:"" help:"Run the simulated SES alone."`

	// TestClockOffset is added to the clock of the machine, for drills: a process in whose eyes it is later or earlier.
	TestClockOffset time.Duration `hidden:"" env:"MAILSTACK_TEST_CLOCK_OFFSET"`

	Version kong.VersionFlag `help:"Print the version."`
}

// Run runs the command named by the arguments until it is done or ctx ends, and returns the exit code.
func Run(ctx context.Context, process Process) int {
	err := run(ctx, &process)
	if err == nil {
		return exitDone
	}
	// A failed write to stderr cannot be reported anywhere.
	_, _ = fmt.Fprintf(process.Stderr, "mailstack: %v\n", err)
	if usage := (components.UsageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func run(ctx context.Context, process *Process) error {
	answered := false // --help or --version
	var given grammar
	parser, err := kong.New(
		&given,
		kong.Name("mailstack"),
		kong.Description(description),
		kong.Vars{"version": version(), "scopes": strings.Join(apikey.Scopes(), ","), "scope_list": strings.Join(apikey.Scopes(), ", ")},
		kong.Writers(process.Stdout, process.Stderr),
		kong.Exit(func(int) { answered = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(process),
	)
	if err != nil {
		return fmt.Errorf("set up the command line: %w", err)
	}
	arguments := process.Arguments
	if len(arguments) == 0 {
		arguments = []string{"--help"}
	}
	parsed, err := parser.Parse(arguments)
	if answered {
		return nil
	}
	if err != nil {
		return components.Usagef("%w (see mailstack --help)", err)
	}
	if offset := given.TestClockOffset; offset != 0 {
		now := process.Now
		process.Now = func() time.Time { return now().Add(offset) }
	}
	if _, graceful := parsed.Selected().Target.Addr().Interface().(*serveCommand); !graceful && process.ReleaseSignals != nil {
		unwatch := context.AfterFunc(ctx, process.ReleaseSignals)
		defer unwatch()
	}
	return parsed.Run()
}

// version returns the module version, the Go version and the VCS revision of this build.
func version() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "mailstack (unknown build)"
	}
	text := "mailstack " + build.Main.Version + " " + build.GoVersion
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			text += " " + setting.Value
		}
	}
	return text
}
