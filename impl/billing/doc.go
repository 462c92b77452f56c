// Package billing holds the rules of money and time, without any I/O:
//
//   - period.go: which month an email counts for ([PeriodAt])
//   - account.go: how many emails an account may still send ([Usage])
package billing
