package command

import "github.com/voostack/mailstack/impl/doctor"

type doctorCommand struct{ doctor.Flags }

// Help is shown by --help.
func (*doctorCommand) Help() string {
	return `Goes the way of a message, hop by hop, in the environment of "mailstack serve", and stops where it ends: the last line names the hop. The message goes to success@simulator.amazonses.com, where Amazon takes it; it is nobody's message, is counted for nobody, and leaves nothing behind.

Its event is stored by a running "mailstack serve". Where a queue is configured and nobody has stored it after a third of the wait, the doctor collects from the queue too, as a worker does: what it takes is stored before it is deleted.`
}
