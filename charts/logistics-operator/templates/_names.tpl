{{- define "logistics-operator.selector" -}}
app.kubernetes.io/name: logistics-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logistics-operator.labels" -}}
{{ include "logistics-operator.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "logistics-operator.subject" -}}
- kind: ServiceAccount
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* The webhook's configuration is cluster-wide: its name tells the releases of several namespaces apart. */}}
{{- define "logistics-operator.webhook-configuration" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end }}
