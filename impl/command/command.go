// Package command is the command line of mailstack: it reads flags and environment, and runs what they name.
//
//   - command.go: the commands, [Run], exit codes
//   - serve.go, worker.go, migrate.go, simulator.go: production
//   - dev.go: everything on this machine; dev_environment.go: what stands in for Postgres, SES and DNS; dev_seed.go: what is
//     registered at first; data_folder.go: what is kept between starts
//   - ses.go: setting up AWS; doctor.go: checking everything, step by step
//   - organizations.go, keys.go, billing.go: the operator's commands; operator.go: what they share
package command

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/components"
)

// The exit codes of the process.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the arguments or the environment are wrong; nothing was started
)

const description = `A transactional email API server: one binary, Postgres, and Amazon SES.

Try it on this machine, without any account: "mailstack dev". In production: "mailstack migrate", then "mailstack serve", ` +
	`and "mailstack org create" and "mailstack key create" for the first API key; "mailstack ses setup" and "mailstack doctor" for what is to be in AWS.

Every flag that names a variable in its help can be set by that variable; a flag on the command line goes first. ` +
	`AWS region, endpoint and credentials are found the AWS way (AWS_REGION, AWS_ENDPOINT_URL, AWS_PROFILE, roles).

Exit codes: 0 done, 1 failed, 2 wrong arguments or environment.`

// Process is what the world gives to the process.
type Process = components.Process

type grammar struct {
	Dev       devCommand          `cmd:"" help:"Run everything on this machine: API, workers, Postgres, a simulated SES."`
	Serve     serveCommand        `cmd:"" help:"Serve the API and send mail."`
	Worker    workerCommand       `cmd:"" help:"Send mail without serving the API."`
	Migrate   migrateCommand      `cmd:"" help:"Bring the database to the version of this binary."`
	Org       organizationCommand `cmd:"" help:"Create, list, suspend and resume organizations."`
	Key       keyCommand          `cmd:"" help:"Create, list and revoke API keys."`
	Billing   billingCommand      `cmd:"" help:"Set what an organization may send, and at which price."`
	Ses       sesCommand          `cmd:"" help:"Set up what SES reports through, and print who needs which permission."`
	Doctor    doctorCommand       `cmd:"" help:"Check everything from the database to an event of SES, and say what is wrong."`
	Simulator simulatorCommand    `cmd:"" help:"Run the simulated SES alone."`

	Version kong.VersionFlag `help:"Print the version."`
}

// Run runs the command that the arguments name, until it is done or ctx ends, and returns the exit code.
func Run(ctx context.Context, process Process) int {
	err := run(ctx, &process)
	if err == nil {
		return exitDone
	}
	// There is nobody left to tell when this fails.
	_, _ = fmt.Fprintf(process.Stderr, "mailstack: %v\n", err)
	if usage := (components.UsageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func run(ctx context.Context, process *Process) error {
	answered := false // --help or --version
	parser, err := kong.New(
		&grammar{},
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
	return parsed.Run()
}

// version is what the build knows of itself.
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
