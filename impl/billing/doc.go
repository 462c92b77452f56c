// Package billing computes billing periods and how many emails an organization
// may send in one, without any I/O:
//
//   - period.go: which month an email counts for ([PeriodAt])
//   - account.go: how many emails an organization may still send ([Usage])
package billing
