package broken

import "github.com/stagedoor-dev/stagedoor/conformance/killmatrix"

// The tokens of the gateway that asks for some.
const (
	runnerToken = "right"
	clientToken = "client"
	adminToken  = "admin"
)

// Config is how the program that Build makes is tried, but for the cases. Its windows are small, so that the cases of credit are about
// credit.
func Config(program string) killmatrix.GatewayConfig {
	command := program + " gateway --listen 127.0.0.1:{port} --data {data} --tls-cert {cert} --tls-key {key} --limit-max-event 8192 --limit-event-window 65536"
	cfg := killmatrix.GatewayConfig{
		Command:     command + " --insecure",
		WithTokens:  command + " --runner-token " + runnerToken + " --client-token " + clientToken + " --admin-token " + adminToken,
		RunnerToken: runnerToken, ClientToken: clientToken, AdminToken: adminToken,
	}
	for _, m := range All() {
		cfg.Mutants = append(cfg.Mutants, killmatrix.GatewayMutant{Name: m.Name, Does: m.Does, Cases: m.Cases})
	}
	return cfg
}
