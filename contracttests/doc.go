// Package contracttests is the API from outside: real HTTP, real Postgres, the real AWS SDK against the simulator.
//
//   - stack_test.go: a whole server for one test; tenant_test.go: an organization with a key and a domain
//   - exchange_test.go: requests, and every answer held against openapi.yaml
//   - one file per tag for its promises; order_test.go, body_test.go and bad_days_test.go for those of all
package contracttests
