// Package contracttests is the API from outside: real HTTP, real Postgres, the real AWS SDK against the simulator.
//
//   - stack_test.go: a whole server for one test; tenant_test.go: an organization with a key and a domain
//   - exchange_test.go: requests, and the transport that records every exchange; contract_test.go: openapi.yaml as
//     their judge; ledger_test.go: what was counted, and the report
//   - promises_test.go: the table of every operation with every status, promises_scene_test.go what its requests need,
//     promises_judge_test.go what they are held against; mutations_test.go proves that the judge notices
//   - deployment_test.go: the same table against any server (-url, -key)
//   - one file per tag for its promises; order_test.go, body_test.go and bad_days_test.go for those of all
package contracttests
