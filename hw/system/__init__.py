"""What joins the cores and faces the outside: accelerator, registers, load port, AXI."""
