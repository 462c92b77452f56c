package command

import "github.com/voostack/mailstack/impl/doctor"

type doctorCommand struct{ doctor.Flags }

// Help is shown by --help.
func (*doctorCommand) Help() string {
	return `Follows a message through the installation step by step, in the environment of "mailstack serve", and stops at the first step that fails: the last line names it. The test message goes to success@simulator.amazonses.com, an address of Amazon's mailbox simulator; it belongs to no organization, is not counted, and leaves nothing behind.

A running "mailstack serve" stores its event. If a queue is configured and the event is not stored after a third of the wait, the doctor receives from the queue too: like a worker, it stores each message before deleting it.`
}
