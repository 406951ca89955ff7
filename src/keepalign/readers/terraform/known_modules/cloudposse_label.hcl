# cloudposse/label/null: names from parts.

variable "enabled" { default = null }
variable "context" { default = {} }
variable "namespace" { default = null }
variable "tenant" { default = null }
variable "environment" { default = null }
variable "stage" { default = null }
variable "name" { default = null }
variable "delimiter" { default = null }
variable "attributes" { default = [] }
variable "label_order" { default = null }

locals {
  # As cloudposse/label/null makes names: what the call says, else what its context says.
  own = { for key, value in {
    enabled     = var.enabled
    namespace   = var.namespace
    tenant      = var.tenant
    environment = var.environment
    stage       = var.stage
    name        = var.name
    delimiter   = var.delimiter
    label_order = var.label_order
  } : key => value if value != null }
  label = merge(
    { enabled = true, delimiter = "-", label_order = ["namespace", "environment", "stage", "name", "attributes"] },
    { for key, value in coalesce(var.context, {}) : key => value if value != null && try(length(tolist(value)) > 0, true) },
    local.own,
    { attributes = distinct(concat(coalesce(keepalign::given(var.context, "attributes", []), []), coalesce(var.attributes, []))) },
  )
  on = local.label.enabled
  id = lower(join(local.label.delimiter, compact(flatten([
    for key in local.label.label_order : keepalign::given(local.label, key, null)
  ]))))
}

output "id" { value = local.id }
output "enabled" { value = local.on }
output "name" { value = keepalign::given(local.label, "name", null) }
output "namespace" { value = keepalign::given(local.label, "namespace", null) }
output "tenant" { value = keepalign::given(local.label, "tenant", null) }
output "environment" { value = keepalign::given(local.label, "environment", null) }
output "stage" { value = keepalign::given(local.label, "stage", null) }
output "delimiter" { value = local.label.delimiter }
output "attributes" { value = local.label.attributes }
output "context" { value = local.label }
