/*! consentry 0.1.0 */
