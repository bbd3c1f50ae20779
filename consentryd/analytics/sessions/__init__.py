"""Sessions: visits, told apart by pauses (section 1.7)."""
