"""What every form and every door of Hozon holds: one suite, one table of forms."""
