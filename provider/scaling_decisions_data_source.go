package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*scalingDecisionsDataSource)(nil)

// NewScalingDecisionsDataSource makes the data source wedsync_scaling_decisions.
func NewScalingDecisionsDataSource() datasource.DataSource { return &scalingDecisionsDataSource{} }

type scalingDecisionsDataSource struct{ configuredDataSource }

type scalingDecisionsModel struct {
	DefinitionID types.String           `tfsdk:"definition_id"`
	Environment  types.String           `tfsdk:"environment"`
	PolicyID     types.String           `tfsdk:"policy_id"`
	Outcome      types.String           `tfsdk:"outcome"`
	ChangesOnly  types.Bool             `tfsdk:"changes_only"`
	From         types.String           `tfsdk:"from"`
	To           types.String           `tfsdk:"to"`
	Limit        types.Int64            `tfsdk:"limit"`
	Decisions    []scalingDecisionModel `tfsdk:"decisions"`
}

type scalingDecisionModel struct {
	ID              types.String          `tfsdk:"id"`
	DefinitionID    types.String          `tfsdk:"definition_id"`
	DefinitionName  types.String          `tfsdk:"definition_name"`
	Environment     types.String          `tfsdk:"environment"`
	PolicyID        types.String          `tfsdk:"policy_id"`
	PolicyName      types.String          `tfsdk:"policy_name"`
	Outcome         types.String          `tfsdk:"outcome"`
	CurrentValue    types.Int64           `tfsdk:"current_value"`
	WantedValue     types.Int64           `tfsdk:"wanted_value"`
	LimitedValue    types.Int64           `tfsdk:"limited_value"`
	Unit            types.String          `tfsdk:"unit"`
	LimitedBy       types.String          `tfsdk:"limited_by"`
	Reason          types.String          `tfsdk:"reason"`
	Inputs          []scalingReadingModel `tfsdk:"inputs"`
	DeploymentID    types.String          `tfsdk:"deployment_id"`
	Evaluations     types.Int64           `tfsdk:"evaluations"`
	DecidedAt       types.String          `tfsdk:"decided_at"`
	LastEvaluatedAt types.String          `tfsdk:"last_evaluated_at"`
}

type scalingReadingModel struct {
	PolicyID           types.String  `tfsdk:"policy_id"`
	PolicyName         types.String  `tfsdk:"policy_name"`
	Metric             types.String  `tfsdk:"metric"`
	MetricName         types.String  `tfsdk:"metric_name"`
	Value              types.Float64 `tfsdk:"value"`
	Target             types.Float64 `tfsdk:"target"`
	ScaleUpThreshold   types.Float64 `tfsdk:"scale_up_threshold"`
	ScaleDownThreshold types.Float64 `tfsdk:"scale_down_threshold"`
	Counted            types.Int64   `tfsdk:"counted"`
	Missing            types.Int64   `tfsdk:"missing"`
	Unsettled          types.Int64   `tfsdk:"unsettled"`
	Wanted             types.Int64   `tfsdk:"wanted"`
	Note               types.String  `tfsdk:"note"`
}

func scalingDecisionFromAPI(d api.ScalingDecision) scalingDecisionModel {
	inputs := make([]scalingReadingModel, len(d.Inputs))
	for n, r := range d.Inputs {
		inputs[n] = scalingReadingFromAPI(r)
	}
	return scalingDecisionModel{
		ID:              types.StringValue(d.ID),
		DefinitionID:    types.StringValue(d.DefinitionID),
		DefinitionName:  types.StringValue(d.DefinitionName),
		Environment:     types.StringValue(d.Environment),
		PolicyID:        nullIfEmpty(d.PolicyID),
		PolicyName:      nullIfEmpty(d.PolicyName),
		Outcome:         types.StringValue(d.Outcome),
		CurrentValue:    types.Int64Value(d.CurrentValue),
		WantedValue:     types.Int64Value(d.WantedValue),
		LimitedValue:    types.Int64Value(d.LimitedValue),
		Unit:            types.StringValue(d.Unit),
		LimitedBy:       nullIfEmpty(d.LimitedBy),
		Reason:          types.StringValue(d.Reason),
		Inputs:          inputs,
		DeploymentID:    nullIfEmpty(d.DeploymentID),
		Evaluations:     int64Value(d.Evaluations),
		DecidedAt:       timeValue(d.DecidedAt),
		LastEvaluatedAt: timeValue(d.LastEvaluatedAt),
	}
}

func scalingReadingFromAPI(r api.ScalingReading) scalingReadingModel {
	return scalingReadingModel{
		PolicyID:           types.StringValue(r.PolicyID),
		PolicyName:         types.StringValue(r.PolicyName),
		Metric:             nullIfEmpty(r.Metric),
		MetricName:         nullIfEmpty(r.MetricName),
		Value:              types.Float64PointerValue(r.Value),
		Target:             types.Float64PointerValue(r.Target),
		ScaleUpThreshold:   types.Float64PointerValue(r.ScaleUpThreshold),
		ScaleDownThreshold: types.Float64PointerValue(r.ScaleDownThreshold),
		Counted:            int64Value(r.Counted),
		Missing:            int64Value(r.Missing),
		Unsettled:          int64Value(r.Unsettled),
		Wanted:             types.Int64Value(r.Wanted),
		Note:               nullIfEmpty(r.Note),
	}
}

func (d *scalingDecisionsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_scaling_decisions"
}

// Bounds of how many decisions are read.
const (
	defaultDecisions = 100
	maxDecisions     = 1000
)

func (d *scalingDecisionsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists what the autoscaler has decided, newest first, with all that it went by. Decisions that follow each other and change nothing for the same reason are one, with a count and what the last of them saw. With `from` and `to` at the same moment: what was in force then.",
		Attributes: map[string]schema.Attribute{
			"definition_id": filter("Only decisions about this definition.", isUUID),
			"environment":   filter("Only decisions in this environment.", isName),
			"policy_id":     filter("Only decisions of this policy.", isUUID),
			"outcome": filter("Only decisions that came to this: `scaled_up`, `scaled_down`, `resized`, `limited` or `no_change`.",
				stringvalidator.OneOf(api.OutcomeScaledUp, api.OutcomeScaledDown, api.OutcomeResized, api.OutcomeLimited, api.OutcomeNoChange)),
			"changes_only": schema.BoolAttribute{Optional: true, MarkdownDescription: "Only decisions that changed something."},
			"from":         filter("Only decisions that were still in force at this time (RFC 3339), not replaced by another, or made later.", isTime),
			"to":           filter("Only decisions made at this time (RFC 3339) or before.", isTime),
			"limit": schema.Int64Attribute{
				Optional: true, MarkdownDescription: fmt.Sprintf("Most decisions to read, 1 to %d.%s`%d`.", maxDecisions, defaultText, defaultDecisions),
				Validators: []validator.Int64{int64validator.Between(1, maxDecisions)},
			},
			"decisions": computedList("Decisions that match.", scalingDecisionAttributes()),
		},
	}
}

func scalingDecisionAttributes() map[string]schema.Attribute {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	number := func(description string) schema.Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	fraction := func(description string) schema.Attribute {
		return schema.Float64Attribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"id":              text("Identifier of the decision, a UUID."),
		"definition_id":   text("Definition that it is about."),
		"definition_name": text("Name of that definition."),
		"environment":     text("Environment that it is about."),
		"policy_id":       text("Policy that decided. Null when none did."),
		"policy_name":     text("Name of that policy."),
		"outcome":         text("What it came to: `scaled_up`, `scaled_down`, `resized`, `limited` or `no_change`."),
		"current_value":   number("What there was, in `unit`."),
		"wanted_value":    number("What the policy wanted."),
		"limited_value":   number("What the limits left of it."),
		"unit":            text("Unit of the three: `replicas`, `millicores` or `bytes`."),
		"limited_by":      text("Which limit made `limited_value` of `wanted_value`. Null when none did."),
		"reason":          text("Why, in a sentence."),
		"inputs": computedList("What each policy saw and wanted.", map[string]schema.Attribute{
			"policy_id":            text("The policy."),
			"policy_name":          text("Its name."),
			"metric":               text("Metric that it goes by."),
			"metric_name":          text("Name of a custom metric."),
			"value":                fraction("Mean over the replicas that have the metric. Null when none has."),
			"target":               fraction("Target that it was compared with."),
			"scale_up_threshold":   fraction("Upper threshold that it was compared with."),
			"scale_down_threshold": fraction("Lower threshold that it was compared with."),
			"counted":              number("Replicas that have the metric."),
			"missing":              number("Replicas that should have it and do not."),
			"unsettled":            number("Replicas that do not count yet."),
			"wanted":               number("What the policy wanted, in the decision's unit."),
			"note":                 text("What is special."),
		}),
		"deployment_id":     text("Deployment that was begun."),
		"evaluations":       number("Evaluations that it stands for; it says what the last of them saw."),
		"decided_at":        text("When it was first decided so (RFC 3339)."),
		"last_evaluated_at": text("Until when it held (RFC 3339): when it was last decided so, or another decision took its place."),
	}
}

func (d *scalingDecisionsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model scalingDecisionsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	limit := defaultDecisions
	settle(&limit, model.Limit, intOf)
	page, err := d.client.ListScalingDecisions(ctx, api.ListScalingDecisionsOptions{
		Page: api.Page{Limit: limit}, DefinitionID: model.DefinitionID.ValueString(), Environment: model.Environment.ValueString(),
		PolicyID: model.PolicyID.ValueString(), Outcome: model.Outcome.ValueString(), ChangesOnly: model.ChangesOnly.ValueBool(),
		From: timeOf(model.From), To: timeOf(model.To),
	})
	if err != nil {
		addClientError(&resp.Diagnostics, "List scaling decisions", err)
		return
	}
	model.Decisions = make([]scalingDecisionModel, len(page.Decisions))
	for n, decision := range page.Decisions {
		model.Decisions[n] = scalingDecisionFromAPI(decision)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// timeOf is a time that has been checked; zero for none.
func timeOf(v types.String) time.Time {
	t, _ := time.Parse(time.RFC3339, v.ValueString())
	return t
}
