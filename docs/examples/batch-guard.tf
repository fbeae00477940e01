# A stage in Terraform, after the commands in docs/terraform.md have written build/packaged.json.
variable "stage" {
  description = "Of the jobs file chalicelib/jobs/STAGE.toml"
  type        = string
  default     = "dev"
}

resource "aws_cloudformation_stack" "batch_guard" {
  name          = "batch-guard-${var.stage}"
  template_body = file("${path.module}/build/packaged.json")
  capabilities  = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

  timeouts {
    create = "60m"
    update = "60m"
    delete = "60m"
  }
}
