"""Pictures of what a search found: values in, matplotlib figures or pages of HTML out; nothing is shown or stored."""
